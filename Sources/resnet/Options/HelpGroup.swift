/// Titles of the groups of options in the help of all commands, in their order.
enum HelpGroup {
  static let data = "Data"
  static let model = "Model"
  static let training = "Training"
  static let augmentation = "Augmentation"
  static let fineTuning = "Fine-tuning"
  static let device = "Device"
  static let output = "Output"

  static let order = [data, model, training, augmentation, fineTuning, device, output]
}

/// Command lines that the help of a command ends with.
func examples(_ lines: String...) -> String { "Examples:\n" + lines.map { "  \($0)" }.joined(separator: "\n") }

/// Sentence of the help of commands with rare options.
let hiddenOptions = "`--help-hidden` shows the rare options too."
