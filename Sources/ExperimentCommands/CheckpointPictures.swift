import ExperimentKit
import Figures
import Foundation

/// A picture of a trained model.
public struct CheckpointPicture {
    /// What it shows, in one word: TensorBoard's tag.
    let name: String
    let svg: String
    /// The pixels, where it is made of them.
    let pixels: Raster?

    public init(_ name: String, _ grid: ImageGrid) {
        self.name = name
        svg = grid.svg
        pixels = grid.sheet
    }

    public init(_ name: String, svg: String) {
        self.name = name
        self.svg = svg
        pixels = nil
    }
}

/// What an experiment draws of a trained model, for pages and for TensorBoard.
public protocol CheckpointPictures {
    associatedtype Work: Experiment

    /// - Parameter name: What the titles of the pictures call the model.
    /// - Returns: The pictures; none of a model that has nothing to show.
    static func pictures(of checkpoint: Checkpoint, name: String) throws -> [CheckpointPicture]
}

/// For experiments whose models have nothing to show.
public enum NoPictures<Work: Experiment>: CheckpointPictures {
    public static func pictures(of checkpoint: Checkpoint, name: String) -> [CheckpointPicture] { [] }
}

extension CheckpointPictures {
    /// Pictures of a run's best checkpoint, with its step; nil where there are none, after a note if that is an error.
    static func pictures(of run: RecordedRun<Work>) -> (step: Int, pictures: [CheckpointPicture])? {
        do {
            let checkpoint = try Checkpoint(at: URL(fileURLWithPath: run.path))
            let pictures = try pictures(of: checkpoint, name: run.name)
            let step = checkpoint.step ?? run.record.training.selectedStep ?? run.record.training.stepsDone
            return pictures.isEmpty ? nil : (step, pictures)
        } catch {
            // A committed run need not have weights, and one under way may just have removed this checkpoint.
            note("\(run.name): no pictures: \(error)")
            return nil
        }
    }
}
