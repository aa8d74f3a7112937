import Foundation
import TestSupport
import Testing

import Safetensors

struct PythonPackageTests {
    @Test func aFileOfThePythonPackageIsRead() throws {
        let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/python.safetensors")
        let file = try SafetensorsFile(path: fixture.path)
        #expect(file.metadata == ["note": "ĥ says \"x · W\"\n"])
        #expect(try file.floats("single", shape: [2, 3]) == [0.5, -1.25, 3, 1e-30, .greatestFiniteMagnitude, -0.0])
        #expect(try file.floats("single")[5].sign == .minus)
        #expect(try file.doubles("double", shape: [2]) == [.pi, -1e300])
        #expect(try file.doubles("scalar", shape: []) == [2.5])
        #expect(try file.integers("integers", shape: [4]) == [0, -1, .max, .min])
        #expect(try file.bytes("bytes", shape: [3, 1]) == [0, 127, 255])
        #expect(try file.floats("empty", shape: [0, 3]) == [])
        #expect(file.entries.count == 6)
    }

    @Test(.enabled("needs python3 with numpy and safetensors") { python(["-c", "import numpy, safetensors"]) != nil })
    func thePythonPackageReadsOurFile() throws {
        var file = SafetensorsFile(metadata: ["note": "ĥ says \"x · W\"\n", "empty": ""])
        file.append("bytes", shape: [3, 1], .uint8([0, 127, 255]))
        file.append("single", shape: [2, 2], .float32([0.5, -1.25, 3, 1e-30]))
        file.append("double", shape: [2], .float64([.pi, -1e300]))
        file.append("scalar", shape: [], .float64([2.5]))
        file.append("integers", shape: [2], .int64([.min, .max]))
        file.append("empty", shape: [0, 3], .float32([]))
        let program = """
            import sys
            from safetensors import safe_open
            with safe_open(sys.argv[1], "numpy") as file:
                print(sorted(file.metadata().items()))
                for key in sorted(file.keys()):
                    array = file.get_tensor(key)
                    print(key, array.dtype, list(array.shape), array.ravel().tolist())
            """
        try withTemporaryFolder { folder in
            let path = folder + "/ours.safetensors"
            try file.write(to: path)
            let printed = python(["-c", program, path])
            #expect(
                printed == """
                    [('empty', ''), ('note', 'ĥ says "x · W"\\n')]
                    bytes uint8 [3, 1] [0, 127, 255]
                    double float64 [2] [3.141592653589793, -1e+300]
                    empty float32 [0, 3] []
                    integers int64 [2] [-9223372036854775808, 9223372036854775807]
                    scalar float64 [] [2.5]
                    single float32 [2, 2] [0.5, -1.25, 3.0, \(Double(Float(1e-30)))]

                    """)
        }
    }
}
