/// A processor's name without trademark signs, and without `Processor` or `CPU` and what follows: `AMD EPYC`, `Intel
/// Xeon`.
public func processorText(_ name: String) -> String {
    name.replacing(/\([A-Za-z]+\)/, with: "").replacing(/[ ](Processor|CPU).*/, with: "")
}

/// The maker of a processor in the names of files: `intel` of `13th Gen Intel(R) Core(TM) i7-1355U`; `other` where the
/// system's name for the processor does not say.
public func processorMaker(_ name: String) -> String {
    let name = name.lowercased()
    return ["intel", "amd", "apple", "arm"].first { name.contains($0) } ?? "other"
}
