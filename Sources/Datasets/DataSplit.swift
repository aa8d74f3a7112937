/// A part of a data set.
public enum DataSplit: String, CaseIterable, Codable, Sendable {
    case train, validation, test
}
