// swift-tools-version: 6.1
import PackageDescription

let package = Package(
  name: "resnet",
  products: [
    .executable(name: "resnet", targets: ["resnet"]),
    .library(name: "ResNetKit", targets: ["ResNetKit"]),
  ],
  dependencies: [
    // Command line: subcommands, typed options, generated help and completion scripts.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    // Messages of the command line about what is done inside, by level: `--verbose` shows them. The library is the one that
    // Swift programs share, so its handler can send them elsewhere.
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    // Protocol buffers, the format of ONNX files and of TensorBoard's event files. The library reads and writes them as other
    // programs do, and bounds the resources that hostile files can take.
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    // YAML, the format of configuration files. The library is libyaml with Swift's types, and tells lines of errors.
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
  ],
  targets: [
    // C libraries, found through pkg-config. The apt names let SwiftPM say what to install.
    .systemLibrary(name: "COpenCL", pkgConfig: "OpenCL", providers: [.apt(["ocl-icd-opencl-dev"])]),
    .systemLibrary(name: "CCLBlast", pkgConfig: "clblast", providers: [.apt(["libclblast-dev"])]),
    // zlib inflates the gzip files of MNIST-style data sets and checks the records of PyTorch's zip archives.
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    // Photographs: JPEG files are read through libjpeg-turbo's own interface, PNG files through libpng.
    .systemLibrary(name: "CTurboJPEG", pkgConfig: "libturbojpeg", providers: [.apt(["libturbojpeg0-dev"])]),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    // Other image formats in folders of photographs, each read by the library made for it. Libraries for all formats depend
    // on a desktop's libraries, change pixels that have 16 bits or alpha, or are not made for untrusted files. BMP is read
    // without a library.
    .systemLibrary(name: "CWebP", pkgConfig: "libwebpdemux", providers: [.apt(["libwebp-dev"])]),
    .systemLibrary(name: "CGIF", providers: [.apt(["libgif-dev"])]),
    .systemLibrary(name: "CTIFF", pkgConfig: "libtiff-4", providers: [.apt(["libtiff-dev"])]),
    // tar archives of photographs, also compressed ones: all variants of the format, and bounds against hostile files.
    .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
    .target(name: "PNGCodec", dependencies: ["CPNG"]),
    .target(name: "TIFFCodec", dependencies: ["CTIFF"]),

    // Failures, random numbers, files, locks, checksums and facts about the host: used by every other target.
    .target(name: "Support"),
    // Names and structures that kernels and the host share: the header `Kernels/OpenCL/parameters.h`.
    .target(name: "CKernelParameters"),
    .target(name: "Compute", dependencies: ["CKernelParameters", "Support"]),
    .target(name: "DryRun", dependencies: ["Compute", "Support"]),
    .target(name: "CPUBackend", dependencies: ["CKernelParameters", "Compute", "Support"]),
    .target(name: "Parallel", dependencies: ["Compute"]),
    .target(name: "OpenCL", dependencies: ["COpenCL"]),
    // The folder is one resource rule: every file in it is embedded.
    .target(name: "Kernels", path: "Kernels", resources: [.embedInCode("OpenCL")]),
    .target(
      name: "OpenCLBackend", dependencies: ["CCLBlast", "CKernelParameters", "Compute", "Kernels", "OpenCL", "Support"]),
    .target(name: "NN", dependencies: ["Compute", "Support"]),
    .target(name: "Models", dependencies: ["DryRun", "NN", "Support"]),
    .target(name: "Formats", dependencies: ["Compute", "CZlib", "Support"]),
    .target(name: "Datasets", dependencies: ["Compute", "CZlib", "Formats", "Images", "Support"]),
    .target(
      name: "Images",
      dependencies: [
        "CArchive", "CGIF", "Compute", "CTurboJPEG", "CWebP", "CZlib", "Formats", "PNGCodec", "Support", "TIFFCodec",
      ]),
    // Weights of networks in files, with what is known about them, and networks that classify.
    .target(name: "Checkpoints", dependencies: ["Datasets", "Formats", "Images", "Models", "NN", "Support"]),
    .target(name: "Training", dependencies: ["Checkpoints", "Datasets", "Formats", "Images", "Models", "NN", "Support"]),
    // Generated from onnx.proto by Scripts/generate-protobuf.
    .target(
      name: "ONNXProto", dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")], exclude: ["onnx.proto"]),
    .target(
      name: "ONNX",
      dependencies: [
        "Checkpoints", "Compute", "Datasets", "Formats", "Models", "NN", "ONNXProto", "Support",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ]),
    // Event files of TensorBoard. Their messages are protocol buffers; Scripts/generate-protobuf makes tensorboard.pb.swift.
    .target(
      name: "TensorBoard", dependencies: ["Support", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
      exclude: ["tensorboard.proto"]),
    .target(name: "Conformance", dependencies: ["Compute", "DryRun", "Support"]),
    .target(name: "Tuning", dependencies: ["Conformance", "OpenCLBackend", "Support"]),
    // The library's face. It exports what programs need of the modules below.
    .target(
      name: "ResNetKit",
      dependencies: [
        "Checkpoints", "Compute", "CPUBackend", "Datasets", "Formats", "Images", "Models", "NN", "ONNX", "OpenCL",
        "OpenCLBackend", "Parallel", "Support", "TensorBoard", "Training", "Tuning",
      ]),
    .executableTarget(
      name: "resnet",
      dependencies: [
        "Conformance", "CPUBackend", "DryRun", "Images", "ONNX", "OpenCL", "OpenCLBackend", "Parallel", "ResNetKit", "Support",
        "Training", "Tuning",
        .product(name: "ArgumentParser", package: "swift-argument-parser"), .product(name: "Logging", package: "swift-log"),
        .product(name: "Yams", package: "Yams"),
      ],
      resources: [.embedInCode("Completions"), .embedInCode("Recipes")]),

    // Programs that use the library as others do: with `import ResNetKit` alone.
    .executableTarget(name: "TrainFashionMNIST", dependencies: ["ResNetKit"], path: "Examples/TrainFashionMNIST"),
    .executableTarget(name: "ClassifyImages", dependencies: ["ResNetKit"], path: "Examples/ClassifyImages"),
    .executableTarget(name: "FineTune", dependencies: ["ResNetKit"], path: "Examples/FineTune"),
    .executableTarget(name: "CustomLoop", dependencies: ["ResNetKit"], path: "Examples/CustomLoop"),

    // Folders, pictures and failures of tests.
    .target(name: "TestSupport", dependencies: ["CArchive", "CZlib", "Support"], path: "Tests/Support"),
    // Readers of files for the fuzzer, and for tests of the inputs that it found.
    .target(
      name: "FuzzParsers", dependencies: ["Datasets", "Formats", "Images", "ONNX", "Support", "Training"],
      path: "Tests/FuzzParsers"),
    .testTarget(name: "FuzzTests", dependencies: ["FuzzParsers"], resources: [.copy("Inputs")]),
    .testTarget(name: "ComputeTests", dependencies: ["Compute", "Support", "TestSupport"]),
    .testTarget(
      name: "CPUBackendTests", dependencies: ["Conformance", "CPUBackend", "DryRun", "Formats"], resources: [.copy("Fixtures")]),
    .testTarget(name: "OpenCLTests", dependencies: ["OpenCL", "TestSupport"]),
    .testTarget(
      name: "OpenCLBackendTests",
      dependencies: [
        "Conformance", "CPUBackend", "DryRun", "Formats", "Kernels", "OpenCL", "OpenCLBackend", "Support", "TestSupport",
      ]),
    .testTarget(
      name: "ParallelTests",
      dependencies: [
        "Conformance", "CPUBackend", "Datasets", "Images", "Models", "OpenCLBackend", "Parallel", "Support", "TestSupport",
        "Training",
      ]),
    .testTarget(name: "TuningTests", dependencies: ["CPUBackend", "OpenCLBackend", "Support", "TestSupport", "Tuning"]),
    .testTarget(name: "NNTests", dependencies: ["CPUBackend", "DryRun", "NN", "Support"]),
    .testTarget(
      name: "ModelsTests", dependencies: ["CPUBackend", "DryRun", "Models", "Support"], resources: [.copy("Fixtures")]),
    .testTarget(name: "FormatsTests", dependencies: ["Formats", "Support", "TestSupport"], resources: [.copy("Fixtures")]),
    .testTarget(
      name: "ONNXTests",
      dependencies: [
        "CPUBackend", "DryRun", "Formats", "ONNX", "ONNXProto", "OpenCLBackend", "Support", "TestSupport",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      resources: [.copy("Fixtures")]),
    .testTarget(name: "DatasetsTests", dependencies: ["CPUBackend", "Datasets", "Formats", "Images", "Support", "TestSupport"]),
    .testTarget(
      name: "ImagesTests", dependencies: ["CZlib", "Formats", "Images", "Support", "TestSupport"],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "TrainingTests", dependencies: ["CPUBackend", "Images", "OpenCLBackend", "Support", "TestSupport", "Training"],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "TensorBoardTests",
      dependencies: ["Support", "TensorBoard", "TestSupport", .product(name: "SwiftProtobuf", package: "swift-protobuf")]),
    .testTarget(name: "ResNetKitTests", dependencies: ["ResNetKit", "TestSupport"]),
    // This is the largest module of tests. It runs the program and computes little, so it is not optimized, which saves two
    // minutes of each build.
    .testTarget(
      name: "CommandLineTests", dependencies: ["Formats", "Images", "Models", "resnet", "Support", "TestSupport"],
      resources: [.copy("Fixtures")], swiftSettings: [.unsafeFlags(["-Onone"])]),
  ],
  swiftLanguageModes: [.v6]
)

// The fuzzer needs the library libFuzzer, which only a build by Scripts/fuzz has.
if Context.environment["RESNET_FUZZ"] != nil {
  package.targets.append(.executableTarget(name: "Fuzz", dependencies: ["FuzzParsers"], path: "Tests/Fuzz"))
}
