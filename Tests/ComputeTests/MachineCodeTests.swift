#if os(Linux) && arch(x86_64) && !DEBUG
    import Foundation
    import TestSupport
    import Testing

    /// What the compiler made of the inner loops of the products. A sum that does not fit the registers is stored and
    /// loaded again at each turn, which halves the speed, and addresses that are computed at each turn take an eighth
    /// of it. Neither changes a result: nothing else would notice it.
    ///
    /// Of a release build, which alone has such loops; skipped where GNU's `objdump` is not installed.
    @Suite(.enabled(if: Disassembly.objdump != nil, "objdump is not installed"))
    struct MachineCodeTests {
        @Test(arguments: ["avx2", "avx512"])
        func theInnerLoopsOfProductsKeepEverySumInARegister(simd: String) throws {
            let loops = try Disassembly.innermostLoops(ofObject: "kernels_\(simd).c.o").filter { $0.multiplyAdds >= 6 }
            for function in [
                "gemm_packed", "strassen_multiply", "strassen_add_transposed", "convolve", "convolve_weights",
            ] {
                let own = loops.filter { $0.function == function }
                #expect(!own.isEmpty, "\(function) has no loop of multiply-adds")
                for loop in own {
                    #expect(
                        loop.vectorsOnTheStack == 0 && loop.registerMoves == 0,
                        """
                        \(function), \(simd): a loop of \(loop.multiplyAdds) multiply-adds has \(loop.vectorsOnTheStack) \
                        vectors on the stack and \(loop.registerMoves) moves between registers; a smaller tile \
                        (CK_ROWS, CK_COLUMNS) leaves the compiler more registers
                        """)
                }
            }
        }

        @Test(arguments: ["avx2", "avx512"])
        func theInnerLoopsOfConvolutionsComputeNoAddresses(simd: String) throws {
            let loops = try Disassembly.innermostLoops(ofObject: "kernels_\(simd).c.o").filter { $0.multiplyAdds >= 32 }
            for function in ["convolve", "convolve_weights"] {
                let own = loops.filter { $0.function == function }
                #expect(!own.isEmpty, "\(function) has no loop with its turns written out")
                for loop in own {
                    // Up to four bases, the kernel's address, a counter and the jump.
                    #expect(
                        loop.scalarInstructions <= 8,
                        """
                        \(function), \(simd): a loop of \(loop.multiplyAdds) multiply-adds has \
                        \(loop.scalarInstructions) instructions for addresses and counters
                        """)
                }
            }
        }

        @Test func aLoopWithASpillIsFound() {
            let text = """
                0000000000000000 <spilled>:
                   0:\tvxorps %xmm0,%xmm0,%xmm0
                   4:\tvmovups 0x20(%rsp),%ymm1
                   a:\tvfmadd231ps (%rdi),%ymm0,%ymm1
                   f:\tvmovups %ymm1,0x20(%rsp)
                  14:\tvmovaps %ymm2,%ymm3
                  18:\tjne    4 <spilled+0x4>
                  1a:\tjmp    0 <spilled>

                """
            #expect(
                Disassembly.innermostLoops(text) == [
                    .init(
                        function: "spilled", multiplyAdds: 1, vectorsOnTheStack: 2, registerMoves: 1,
                        scalarInstructions: 1)
                ])
        }
    }

    private enum Disassembly {
        /// A loop that has no other loop in it.
        struct Loop: Equatable {
            let function: String
            var multiplyAdds = 0
            /// Operands of vector instructions that lie on the stack.
            var vectorsOnTheStack = 0
            /// Copies from one vector register to another.
            var registerMoves = 0
            /// Addresses, counters and jumps.
            var scalarInstructions = 0
        }

        static let objdump: String? = {
            let path = "/usr/bin/objdump"
            return FileManager.default.isExecutableFile(atPath: path) ? path : nil
        }()

        /// - Parameter name: An object file of CKernels, in the folder that this test was built into.
        static func innermostLoops(ofObject name: String) throws -> [Loop] {
            let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            let disassembly = try execute([
                try #require(objdump), "--disassemble", "--no-show-raw-insn",
                folder.appendingPathComponent("CKernels.build/\(name)").path,
            ])
            try #require(disassembly.status == 0, "\(disassembly.errors)")
            return innermostLoops(disassembly.output)
        }

        static func innermostLoops(_ text: String) -> [Loop] {
            var loops: [Loop] = [], function = "", code: [(address: Int, operation: String, operands: String)] = []
            for line in text.split(separator: "\n") {
                if line.hasSuffix(">:"), let name = line.split(separator: "<").last {
                    loops += innermostLoops(of: function, code)
                    function = String(name.dropLast(2))
                    code = []
                } else if let colon = line.firstIndex(of: ":"),
                    let address = Int(line[..<colon].trimmingCharacters(in: .whitespaces), radix: 16)
                {
                    let words = line[line.index(after: colon)...].split(
                        maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" })
                    guard let operation = words.first else { continue }
                    code.append((address, String(operation), words.count > 1 ? String(words[1]) : ""))
                }
            }
            return loops + innermostLoops(of: function, code)
        }

        private static func innermostLoops(
            of function: String, _ code: [(address: Int, operation: String, operands: String)]
        ) -> [Loop] {
            let place = Dictionary(code.enumerated().map { ($1.address, $0) }, uniquingKeysWith: { first, _ in first })
            // A jump backwards ends a loop that begins where it leads to.
            let ranges = code.indices.compactMap { end -> ClosedRange<Int>? in
                guard code[end].operation.hasPrefix("j"),
                    let target = code[end].operands.trimmingCharacters(in: .whitespaces).split(separator: " ").first,
                    let address = Int(target, radix: 16), let start = place[address], start <= end
                else { return nil }
                return start...end
            }
            let innermost = ranges.filter { range in
                !ranges.contains {
                    $0 != range && range.lowerBound <= $0.lowerBound && $0.upperBound <= range.upperBound
                }
            }
            return innermost.map { range in
                var loop = Loop(function: function)
                for (_, operation, operands) in code[range] {
                    let isVector = operands.contains("%ymm") || operands.contains("%zmm")
                    if operation.hasPrefix("vfmadd") { loop.multiplyAdds += 1 }
                    if !operation.hasPrefix("v") && !operation.hasPrefix("prefetch") { loop.scalarInstructions += 1 }
                    if isVector && operands.contains("(%rsp") { loop.vectorsOnTheStack += 1 }
                    if isVector && operation.hasPrefix("vmov") && !operands.contains("(") { loop.registerMoves += 1 }
                }
                return loop
            }
        }
    }
#endif
