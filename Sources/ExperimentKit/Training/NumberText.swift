import Foundation

/// A number with a fixed count of decimals, the same in every locale; a dash for what is not finite.
public func fixed(_ value: Double, _ decimals: Int) -> String {
    value.isFinite ? String(format: "%.\(decimals)f", value) : "-"
}

/// A difference with its sign: `+0.012`, `−0.003`.
public func signed(_ value: Double, _ decimals: Int) -> String {
    (value < 0 ? "−" : "+") + fixed(abs(value), decimals)
}

/// A whole number with its thousands set apart by commas, the same in every locale: `4,254,050`.
public func grouped(_ value: Int) -> String { value.formatted(.number.locale(Locale(identifier: "en_US"))) }

/// Lines cut to a width, with a sign where something is missing; nil leaves them whole.
public func fitted(_ text: String, width: Int?) -> String {
    guard let width, width > 1 else { return text }
    return text.split(separator: "\n", omittingEmptySubsequences: false)
        .map { $0.count > width ? $0.prefix(width - 1) + "…" : $0 }.joined(separator: "\n")
}

/// A duration for people: `42 s`, `12 min 5 s`, `3 h 20 min`.
public func durationText(seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "-" }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
}
