#!/usr/bin/env bash
# The messages of a training step between machines, tried on one: four network namespaces on a bridge, each with a line of the
# given rate and delay (tc; the delay where the kernel has netem), and `benchmarks exchange` on them by Open MPI over TCP. Needs root, iproute2 and openmpi-bin.
#
# usage: experiments/benchmarks/network.sh [RATE DELAY]…     such as: 1gbit 100us 10gbit 100us
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$PWD/experiments/benchmarks/measured program=$PWD/.build/release/benchmarks
[ $# -gt 0 ] || set -- 1gbit 100us 10gbit 100us
[ $(($# % 2)) = 0 ] || { echo "expected pairs RATE DELAY, found: $*" >&2; exit 2; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none
# No shared memory: the processes are to think themselves on four machines.
export OMPI_MCA_btl=tcp,self OMPI_MCA_pml=ob1 OMPI_MCA_btl_tcp_if_include=10.77.0.0/24 OMPI_MCA_oob_tcp_if_include=10.77.0.0/24
nodes="1 2 3 4" tag=hn$$

end() {
    for n in $nodes; do ip netns del $tag-$n 2>/dev/null || true; done
    ip link del $tag 2>/dev/null || true
    rm -rf "$agents"
}
agents=$(mktemp -d)
trap end EXIT
ip link add $tag type bridge
ip link set $tag up
for n in $nodes; do
    ip netns add $tag-$n
    ip link add $tag.$n type veth peer name eth0 netns $tag-$n
    ip link set $tag.$n master $tag up
    ip -n $tag-$n addr add 10.77.0.$n/24 dev eth0
    ip -n $tag-$n link set eth0 up
    ip -n $tag-$n link set lo up
done
# What mpirun calls in place of ssh: the last number of the address is the namespace's.
cat >"$agents/enter" <<AGENT
#!/bin/bash
host=\$1
shift
exec ip netns exec $tag-\${host##*.} bash -c "\$*"
AGENT
chmod +x "$agents/enter"
export OMPI_MCA_plm_rsh_agent=$agents/enter

mkdir -p "$folder"
while [ $# -gt 0 ]; do
    rate=$1 delay=$2
    shift 2
    network="$rate, a delay of $delay" added=-$delay
    for n in $nodes; do
        # Both ways of a node's line. A kernel without netem bounds the rate alone.
        if tc qdisc replace dev $tag.$n root netem rate "$rate" delay "$delay" limit 100000 2>/dev/null; then
            tc -n $tag-$n qdisc replace dev eth0 root netem rate "$rate" limit 100000
        else
            network="$rate, no delay added" added=
            tc qdisc replace dev $tag.$n root tbf rate "$rate" burst 256kb limit 16mb
            tc -n $tag-$n qdisc replace dev eth0 root tbf rate "$rate" burst 256kb limit 16mb
        fi
    done
    file=$folder/exchange-$rate$added.json
    rm -f "$agents/measured.json"
    for count in 2 4; do
        hosts=$(seq -s, -f '10.77.0.%g' 1 $count)
        echo "$network: $count processes"
        ip netns exec $tag-1 mpirun -n $count --host "$hosts" "$program" exchange \
            --network "$network" --output "$agents/measured.json"
    done
    # Once all of it is measured.
    cp "$agents/measured.json" "$file.tmp"
    mv "$file.tmp" "$file"
done
