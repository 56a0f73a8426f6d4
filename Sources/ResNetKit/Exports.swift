// Exports for programs that import ResNetKit alone: tensors and backends, layers and passes, networks, data sets and images,
// settings and events of training, and failures.
@_exported import Checkpoints
@_exported import Compute
@_exported import Datasets
@_exported import Images
@_exported import Models
@_exported import NN
@_exported import Support
@_exported import Training
