import Foundation
import Models
import Testing
import resnet

/// Requires that what README and docs quote exists: commands with their options, links, and paths of the repository.
@Suite struct DocumentTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
    .standardized.path

  /// README, CONTRIBUTING and all pages of `docs`, relative to the root.
  private static let pages: [String] = {
    let docs = (try? FileManager.default.subpathsOfDirectory(atPath: "\(root)/docs")) ?? []
    return ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
      + docs.filter { $0.hasSuffix(".md") }.sorted().map { "docs/\($0)" }
  }()

  private func text(_ page: String) throws -> String { try String(contentsOfFile: "\(Self.root)/\(page)", encoding: .utf8) }

  /// Lines of the fenced `sh` blocks of a page.
  private func commands(_ page: String) throws -> [String] {
    var (lines, isShell): ([String], Bool) = ([], false)
    for line in try text(page).split(separator: "\n", omittingEmptySubsequences: false) {
      let line = line.trimmingCharacters(in: .whitespaces)
      if line.hasPrefix("```") {
        isShell = line == "```sh"
      } else if isShell, !line.isEmpty {
        lines.append(line)
      }
    }
    return lines
  }

  /// Splits a line as a shell does; quotes keep spaces together.
  private static func words(_ line: String) -> [String] {
    var (words, quote): ([String], Character?) = ([""], nil)
    for character in line {
      if character == quote {
        quote = nil
      } else if quote == nil, character == "'" || character == "\"" {
        quote = character
      } else if quote == nil, character == " " {
        words.append("")
      } else {
        words[words.count - 1].append(character)
      }
    }
    return words.filter { !$0.isEmpty }
  }

  @Test func pagesAreFound() { #expect(Self.pages.count > 15) }

  @Test(arguments: pages) func commandsParse(_ page: String) throws {
    for line in try commands(page) {
      // The shell takes what follows `>`.
      let words = Self.words(line).prefix { $0 != ">" }
      guard let first = words.first else { continue }
      if first == "resnet" || first == "Scripts/resnet" {
        #expect(throws: Never.self, "\(page): \(line)") { try CommandLineInterface.check(Array(words.dropFirst())) }
      } else if first.hasPrefix("Scripts/") || first.hasPrefix(".ci/") {
        #expect(FileManager.default.isExecutableFile(atPath: "\(Self.root)/\(first)"), "\(page): \(line)")
      }
    }
  }

  @Test(arguments: pages) func linksLeadSomewhere(_ page: String) throws {
    let folder = URL(fileURLWithPath: "\(Self.root)/\(page)").deletingLastPathComponent()
    let link = try Regex(#"\]\(([^)#]+)(#[^)]*)?\)"#)
    for match in try text(page).matches(of: link) {
      guard let target = match.output[1].substring, !target.contains("://") else { continue }
      let path = folder.appendingPathComponent(String(target)).standardized.path
      #expect(FileManager.default.fileExists(atPath: path), "\(page): \(target)")
    }
  }

  /// The table of models names exactly the networks that are known.
  @Test func modelsAreListed() throws {
    let rows = try text("docs/models.md").split(separator: "\n").filter { $0.hasPrefix("| `") }.prefix { !$0.contains("`--") }
    let names = rows.flatMap { row in row.split(separator: "|")[0].matches(of: /`([^`]*)`/).map { String($0.1) } }
    #expect(Set(names) == Set(ModelConfiguration.knownNames) && names.count == ModelConfiguration.knownNames.count)
  }

  /// Source files that pages of the design name are there.
  @Test(arguments: pages.filter { $0.hasPrefix("docs/dev/") }) func filesExist(_ page: String) throws {
    let path = try Regex(#"`((Sources/|Tests/|Kernels/|Scripts/)[A-Za-z/._-]+)`"#)
    for match in try text(page).matches(of: path) {
      guard let name = match.output[1].substring else { continue }
      #expect(FileManager.default.fileExists(atPath: "\(Self.root)/\(name)"), "\(page): \(name)")
    }
  }
}
