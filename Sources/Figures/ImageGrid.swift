/// Pictures in rows, each with a word above it, and a line about how brightness is to be read.
public struct ImageGrid {
    public struct Cell {
        public let name: String
        public let image: Raster

        public init(name: String, image: Raster) {
            self.name = name
            self.image = image
        }
    }

    public struct Row {
        public let name: String
        public let cells: [Cell]

        public init(name: String, cells: [Cell]) {
            self.name = name
            self.cells = cells
        }
    }

    public let title: String
    public let caption: String
    /// Pixels of the screen for each pixel of an image, across and down.
    public let scale: (x: Double, y: Double)
    public let rows: [Row]
    /// Words under the pixel columns of the last row's first image; empty for none.
    public let columnNames: [String]

    public init(
        title: String, caption: String, scale: (x: Double, y: Double), rows: [Row], columnNames: [String] = []
    ) {
        self.title = title
        self.caption = caption
        self.scale = scale
        self.rows = rows
        self.columnNames = columnNames
    }

    private static let gap = 8

    public var svg: String {
        let gap = Double(Self.gap), left = 20.0
        let rowWidths = rows.map { row in row.cells.reduce(0) { $0 + Double($1.image.width) * scale.x + gap } }
        let texts = [SVG.width(of: title, size: 15), SVG.width(of: caption)]
        var svg = SVG(width: max((rowWidths + texts).max() ?? 0, 200) + 2 * left, height: 0, title: title)
        svg.text(title, x: left, y: 24, size: 15, bold: true)
        svg.text(caption, x: left, y: 44, style: "quiet")
        var y = 58.0
        for row in rows {
            if !row.name.isEmpty {
                svg.text(row.name, x: left, y: y + 12, size: 13)
                y += 18
            }
            let named = row.cells.contains { !$0.name.isEmpty }
            var x = left
            for cell in row.cells {
                let (width, height) = (Double(cell.image.width) * scale.x, Double(cell.image.height) * scale.y)
                if named { svg.text(cell.name, x: x, y: y + 10, size: 11, style: "quiet") }
                svg.image(cell.image, x: x, y: y + (named ? 15 : 0), width: width, height: height)
                x += width + gap
            }
            y += (named ? 15 : 0) + (row.cells.map { Double($0.image.height) * scale.y }.max() ?? 0) + gap
        }
        for (column, name) in columnNames.enumerated() {
            svg.text(name, x: left + (Double(column) + 0.5) * scale.x, y: y + 6, anchor: .middle, style: "ink mono")
        }
        svg.height = y + (columnNames.isEmpty ? 8 : 20)
        return svg.text
    }

    /// The images alone, pixel by pixel, in the same rows on white.
    public var sheet: Raster {
        let widths = rows.map { $0.cells.reduce(-Self.gap) { $0 + $1.image.width + Self.gap } }
        let heights = rows.map { $0.cells.map(\.image.height).max() ?? 0 }
        var sheet = Raster(
            width: max(1, widths.max() ?? 1), height: max(1, heights.reduce(-Self.gap) { $0 + $1 + Self.gap }))
        var top = 0
        for (row, height) in zip(rows, heights) {
            var left = 0
            for cell in row.cells {
                for y in 0..<cell.image.height {
                    for x in 0..<cell.image.width { sheet[left + x, top + y] = cell.image[x, y] }
                }
                left += cell.image.width + Self.gap
            }
            top += height + Self.gap
        }
        return sheet
    }
}
