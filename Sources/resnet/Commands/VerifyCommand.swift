import ArgumentParser
import CPUBackend
import Compute
import Conformance
import Formats
import Foundation
import OpenCLBackend
import ResNetKit
import Support

extension KernelClass: ExpressibleByArgument {}

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check every operation of this device against the CPU reference.",
    usage: "resnet verify [options]",
    discussion: "The report can be attached to a bug report. Exits with 1 if a case fails. \(hiddenOptions)"
      + "\n\n"
      + examples("resnet verify", "resnet verify --quick --device opencl:0.0", "resnet verify --json --filter convolution"))

  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  @Flag(help: "Print the whole report as JSON.")
  var json = false

  @Flag(help: "Run only the small cases, without the shapes of the published networks.")
  var quick = false

  @Option(help: ArgumentHelp("Run only cases whose name contains this text.", valueName: "text"))
  var filter: String?

  @Option(
    help: """
      Kernels to check: register (for CPUs) or local (for GPUs). Both are correct on any device. Default: those that suit the \
      device.
      """)
  var kernels: KernelClass?

  @Flag(
    help: ArgumentHelp(
      """
      Give every tensor a buffer of its own, of exactly its size, so that a checker such as Oclgrind sees accesses beyond its end.
      """, visibility: .hidden))
  var separateBuffers = false

  @Flag(
    help: ArgumentHelp(
      """
      Check every convolution algorithm that `resnet tune` tries, not only the built-in choice, on a few convolutions.
      """, visibility: .hidden))
  var candidates = false

  /// Cases to check. The reference does not support 16-bit activations, so its cases are of float32 only.
  private var cases: [Case] {
    (candidates ? Catalog.convolutionSamples : quick ? Catalog.small : Catalog.all).filter {
      isWanted($0.name) && !(device.isReference && $0.storage != .float32)
    }
  }
  private var gradients: [GradientCase] { candidates ? [] : Conformance.gradientCases.filter { isWanted($0.name) } }

  private func isWanted(_ name: String) -> Bool { filter.map(name.contains) ?? true }

  func validate() throws {
    if device.isReference, kernels != nil || separateBuffers || candidates {
      throw ValidationError("--kernels, --separate-buffers and --candidates need an OpenCL device, not --device cpu")
    }
    if candidates { try device.requireOne("--candidates are those of one device") }
    if cases.isEmpty && gradients.isEmpty { throw ValidationError("no case's name contains '\(filter ?? "")'") }
  }

  func run() throws {
    verbosity.begin()
    var place = try device.place()
    place.checksConvolutions = false
    let backend = try place.open(for: nil, kernelClass: kernels, separateBuffers: separateBuffers)
    let reference = CPUBackend()
    let exact = CPUBackend(precision: .float64)
    var outcomes: [Outcome] = []
    func note(_ outcome: Outcome) {
      outcomes.append(outcome)
      if !json && !outcome.passed { print("FAILED \(outcome.name): \(outcome.message)") }
    }
    let (cases, gradients) = (cases, gradients)
    Log.opened(backend)
    Display.shared.begin(.checking, of: cases.count + gradients.count)
    let factors = { (backend as? OpenCLBackend)?.factorType(storing: $0) ?? .float32 }
    for subject in cases {
      let subject = subject.multiplying(factors(subject.storage))
      defer { Display.shared.advance(subject.name) }
      let check = {
        note(
          try Conformance.check(
            $0, on: backend, against: reference, sharingOut: device.isSeveral, isGuarded: !separateBuffers))
      }
      try check(subject)
      guard candidates, let backend = backend as? OpenCLBackend, let work = subject.convolution?.withoutStatistics else {
        continue
      }
      for candidate in backend.candidates(for: work) {
        backend.choose(candidate, for: work)
        try check(subject.tagged("\(candidate)"))
      }
      backend.choose(nil, for: work)
    }
    // A gradient that only double precision can check tests the reference itself.
    for subject in gradients {
      defer { Display.shared.advance(subject.name) }
      note(try subject.needsFloat64 ? subject.check(on: exact) : subject.check(on: backend, multiplying: factors(.float32)))
    }

    for fallback in backend.devices.compactMap({ $0 as? OpenCLBackend }).flatMap(\.fallbacks) {
      note(Outcome(refused: "\(fallback)", log: fallback.log))
    }

    Display.shared.finish()
    let failed = outcomes.count { !$0.passed }
    if json {
      printJSON(
        .members([
          "device": .string(backend.name), "factors": .string(factors(.float32).rawValue),
          "passed": .integer(outcomes.count - failed),
          "failed": .integer(failed),
          "cases": .array(outcomes.map(describe)),
        ]))
    } else {
      print(
        "\(backend.name)\(factors(.float32) == .float32 ? "" : ", factors of \(factors(.float32))"): "
          + "\(outcomes.count - failed) passed, \(failed) failed")
    }
    if failed > 0 { throw ExitCode.failure }
  }

  private func describe(_ outcome: Outcome) -> JSON {
    .members([
      "name": .string(outcome.name), "passed": .boolean(outcome.passed), "error": .number(outcome.error),
      "maximum_error": .number(outcome.maximumError), "bound": .number(outcome.bound), "message": .string(outcome.message),
    ])
  }
}
