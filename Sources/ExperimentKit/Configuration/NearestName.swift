/// The candidate with the smallest edit distance to `word`, if it is near enough to be a slip of the fingers.
package func nearestName(to word: String, among candidates: [String]) -> String? {
    let distances = candidates.map { (name: $0, distance: editDistance(Array(word), Array($0))) }
    guard let best = distances.min(by: { ($0.distance, $0.name) < ($1.distance, $1.name) }) else { return nil }
    // Further than half the word is another word, not a slip; naming it would only mislead.
    return best.distance <= max(2, word.count / 2) ? best.name : nil
}

/// Levenshtein's distance: insertions, deletions and substitutions that turn `a` into `b`, case ignored.
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var previous = Array(0...b.count)
    for (i, left) in a.enumerated() {
        var current = [i + 1]
        for (j, right) in b.enumerated() {
            let same = left.lowercased() == right.lowercased()
            current.append(min(previous[j] + (same ? 0 : 1), previous[j + 1] + 1, current[j] + 1))
        }
        previous = current
    }
    return previous[b.count]
}
