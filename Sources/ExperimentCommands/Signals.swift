import ExperimentKit
import Foundation

/// Set by the signals of `catchSignals()`. Global because a C signal handler can reach nothing else.
public let interruption = Interruption()

/// The line of standard error where that is a terminal, which writes `^C` there.
private let terminal = isatty(STDERR_FILENO) == 0 ? nil : openLine

/// Stops with a checkpoint at the first signal that asks for an end: Ctrl-C, SIGTERM, SIGHUP (the terminal or the
/// connection is gone), and SIGUSR1 and SIGUSR2, with which schedulers announce the time limit. A second Ctrl-C kills.
/// Further signals of the other kinds change nothing: the shell and the kernel may both report a lost terminal, and a
/// parent may pass on a signal that its children receive too.
///
/// A signal that whoever started the program ignores stays ignored, as `nohup` wants it.
func catchSignals() {
    // Made here, if it is not yet: a signal handler must not allocate memory.
    _ = interruption
    _ = terminal
    // Whoever started this process may have left them blocked, and a blocked signal is never heard.
    var caughtSignals = sigset_t()
    sigemptyset(&caughtSignals)
    for caught in [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2] {
        var inherited = sigaction()
        sigaction(caught, nil, &inherited)
        guard !isIgnored(inherited) else { continue }
        sigaddset(&caughtSignals, caught)
        signal(caught) { number in
            interruption.request(signal: number)
            if number == SIGINT {
                terminal?.wasWrittenTo()
                signal(number, SIG_DFL)
            }
        }
    }
    pthread_sigmask(SIG_UNBLOCK, &caughtSignals, nil)
}

private func isIgnored(_ action: sigaction) -> Bool {
    #if canImport(Darwin)
        let handler = action.__sigaction_u.__sa_handler
    #else
        let handler = action.__sigaction_handler.sa_handler
    #endif
    // Functions cannot be compared; SIG_IGN is the address 1.
    return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
}
