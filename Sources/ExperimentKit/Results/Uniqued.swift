extension Sequence {
    /// The first element of each key, in order.
    package func uniqued<Key: Hashable>(on key: (Element) -> Key) -> [Element] {
        var seen: Set<Key> = []
        return filter { seen.insert(key($0)).inserted }
    }

    /// The elements that are alike together, in the order of the first of each group.
    package func inGroups(by areAlike: (Element, Element) -> Bool) -> [[Element]] {
        reduce(into: [[Element]]()) { groups, element in
            if let index = groups.firstIndex(where: { areAlike($0[0], element) }) {
                groups[index].append(element)
            } else {
                groups.append([element])
            }
        }
    }
}

extension Sequence where Element: Hashable {
    /// Each element once, in the order of its first place.
    package func uniqued() -> [Element] { uniqued { $0 } }
}
