import Foundation

/// Bytes as printable ASCII: a line feed as `\n`, a backslash as `\\`, what is not printable as `\x` and two digits.
func escaped(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes {
        switch byte {
        case 0x0a: text += "\\n"
        case 0x0d: text += "\\r"
        case 0x09: text += "\\t"
        case 0x5c: text += "\\\\"
        case 0x20...0x7e: text.unicodeScalars.append(Unicode.Scalar(byte))
        default: text += String(format: "\\x%02x", byte)
        }
    }
    return text
}

/// Bytes as an error message shows them: "1f 8b".
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { String(format: "%02x", $0) }.joined(separator: " ")
}

/// A CRC-32 as an error message shows it: "0x0001e240".
func hexadecimal(crc: UInt32) -> String { String(format: "0x%08x", crc) }
