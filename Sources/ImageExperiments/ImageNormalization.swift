import Datasets

/// The normalization of each data set's images, and the changes that its training images may undergo.
extension ImageDatasetName {
    /// Photographs in color; the others are gray digits.
    var isColor: Bool { self == .cifar10 || self == .sampleCIFAR10 }

    /// Padding, cropping and mirroring (A.3.1, A.3.2). Only photographs are mirrored.
    var augmentation: ImageAugmentation { isColor ? .cifar10 : .mnist }

    /// The map from brightness to a number (deviation `staticInputNormalization`): photographs by the statistics of the
    /// training split, digits from 0 to 1.
    func normalization(means: [Double], deviations: [Double]) -> PixelNormalization {
        isColor ? PixelNormalization(means: means, deviations: deviations) : .unitInterval(channels: means.count)
    }

    func normalization(of dataset: ImageDataset) -> PixelNormalization {
        normalization(means: dataset.channelMeans, deviations: dataset.channelDeviations)
    }
}
