import ArgumentParser
import Compute
import Datasets
import Formats
import ResNetKit
import Support

/// Order in which folders whose names are numbers correspond to the outputs of a network.
enum ClassOrder: String, CaseIterable, ExpressibleByArgument {
  /// Order as text: 0, 1, 10, 11, 2, as torchvision's `ImageFolder` has it.
  case text
  /// Order by number: 0, 1, 2, 10, 11.
  case number
}

extension Checkpoint {
  /// Returns the class names from an option; nil if it was not given.
  func names(from option: ClassNamesOption) throws -> [String]? {
    try option.names(ofClasses: classes.count, insteadOf: namesClasses ? classes : nil, of: path)
  }

  /// Returns photographs whose labels are the indices of this network's outputs. Folders and outputs correspond by name if the
  /// outputs' names are known, otherwise by the folders' order. Guesses are reported on standard error.
  /// - Parameters:
  ///   - place: path of the folder, for messages.
  ///   - names: names from `--class-names`, in the order of the outputs; nil for the names of the checkpoint, if it has any.
  ///   - order: order from `--class-order`, for networks whose outputs have no names.
  /// - Throws: ``Failure`` if the names differ from those of the folders; a usage error for an order that does not apply.
  func labeled(
    _ photographs: PhotographDataset, at place: String, names given: [String]?, order: ClassOrder?
  ) throws -> PhotographDataset {
    guard let names = given ?? (namesClasses ? classes : nil) else { return try inOrder(photographs, order) }
    // Names that are merely the outputs' numbers may have been made up by the program that wrote the file.
    let areNumbers = given == nil && names == names.indices.map(String.init)
    if order != nil {
      guard areNumbers else {
        let source: Message = given == nil ? Message(path) : "\(Setting.classNames)"
        throw usageError("--class-order is for networks that do not name their classes, and \(source) does: leave it out")
      }
      return try inOrder(photographs, order)
    }
    let numbers = places(of: photographs.classes, in: names)
    let found = Set(numbers.compactMap { $0 })
    if found.count == names.count, numbers.count == names.count {
      if areNumbers, numbers != Array(names.indices) {
        printError(
          "the folders are taken by their names, the numbers that \(path) calls its classes by: \(listed(names)); "
            + "--class-order text takes \(listed(photographs.classes)), as torchvision's ImageFolder does")
      }
      return photographs.renumbered(numbers.compactMap { $0 }, names: names)
    }
    guard found.isEmpty, dataset != photographs.name else { throw otherClasses(photographs, at: place, names, numbers) }
    if !areNumbers {
      printError(
        "no folder of \(place) has the name of a class: they are taken in their order for \(listed(names)); --class-names says "
          + "otherwise")
    }
    return try inOrder(photographs, nil)
  }

  /// Takes the folders in the order of their names as text, unless the order by number is asked for.
  private func inOrder(_ photographs: PhotographDataset, _ order: ClassOrder?) throws -> PhotographDataset {
    let folders = photographs.classes
    guard let byNumber = orderByNumber(folders) else {
      guard order != .number else {
        throw usageError("--class-order number: the folders' names are not all numbers: \(listed(folders))")
      }
      return photographs
    }
    let numbered = byNumber.map { folders[$0] }
    if order == nil, byNumber != Array(folders.indices) {
      printError(
        "\(path) does not name its classes: the folders are taken in the order of their names as text, \(listed(folders)), as "
          + "torchvision's ImageFolder does; --class-order number takes \(listed(numbered)), --class-names FILE any order")
    }
    guard order == .number else { return photographs }
    var numbers = [Int](repeating: 0, count: folders.count)
    for (number, folder) in byNumber.enumerated() { numbers[folder] = number }
    return photographs.renumbered(numbers, names: numbered)
  }

  private func otherClasses(
    _ photographs: PhotographDataset, at place: String, _ names: [String], _ numbers: [Int?]
  ) -> Failure {
    let found = Set(numbers.compactMap { $0 })
    let unknown = zip(photographs.classes, numbers).filter { $1 == nil }.map(\.0)
    let others = unknown + names.indices.filter { !found.contains($0) }.map { names[$0] }
    let twins = lookalikes(among: photographs.classes + names)
    let difference = others.sorted { Name($0) < Name($1) }.map { twins.contains(spelled($0)) ? spelled($0) : $0 }
    return Failure(
      .mismatch,
      "\(path) is for other classes than the folders of \(place): only one of them has \(listed(difference, atMost: 3)); "
        + "every class needs its folder, and there may be no other")
  }
}
