import ArgumentParser
import CPUBackend
import Compute
import Models
import ResNetKit
import Support
import Training

struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay", abstract: "Tell who is to blame for a step in which a number was not finite.",
    usage: "resnet replay [options] <file>",
    discussion: """
      A run that meets a NaN or an infinity keeps the step in its folder, as fault-step-N.safetensors. This computes the step \
      again on the CPU reference and on the device, and compares the two, operation by operation. If the reference finds a \
      number that is not finite too, the mathematics is to blame: the learning rate, the images or the weights. If not, the \
      device or its driver is. --device cpu takes the reference alone.
      """
        + "\n\n"
        + examples(
          "resnet replay runs/resnet20/fault-step-12.safetensors",
          "resnet replay fault-step-12.safetensors --device opencl:1.0",
          "resnet replay fault-step-12.safetensors --device cpu --json"))

  @Argument(
    help: ArgumentHelp("File of the step, which the run wrote.", valueName: "file"), completion: .safetensors)
  var file: String

  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  @Flag(help: "Print the whole report as JSON.")
  var json = false

  func validate() throws { if file.isEmpty { throw ValidationError("<file> '': a path is needed") } }

  func run() throws {
    verbosity.begin()
    let record = try FaultRecord(contentsOf: file)
    let report: ReplayReport
    if device.isReference {
      Display.shared.begin(.checking, of: 1)
      report = ReplayReport(record, file: file, reference: try StepTrace(record, on: CPUBackend(), .fp32))
    } else {
      let (run, precision) = (record.configuration, record.configuration.precision)
      let work = Work(
        run.model, images: record.shape, run.trainingOptions, isTraining: true, shares: device.isSeveral ? run.shares : nil)
      let backend = try device.place().open(for: work)
      Log.opened(backend)
      try Summary(run.model, images: record.shape, run.trainingOptions, on: backend).requireMemoryForTraining(on: backend)
      Display.shared.begin(.checking, of: 1)
      let trace = try StepTrace(record, on: backend, precision, against: CPUBackend())
      report = ReplayReport(
        record, file: file, compared: trace, on: (backend.name, device.device),
        allowed: StepTrace.allowed(precision, on: backend))
    }
    Display.shared.finish()
    if json { printJSON(report.json) } else { print(report.text) }
  }
}
