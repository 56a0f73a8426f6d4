import Foundation
import Models
import Support
import Testing
import Training
import resnet

/// Tests what studies say of given figures.
@Suite struct StudyFindingTests {
  /// Makes the result of a network that ended with these training and test errors in percent, one of each seed.
  private func result(_ name: String, _ training: [Double], _ test: [Double]? = nil, diverged: [Int] = []) throws -> StudyResult {
    let decoder = JSONDecoder()
    let runs = try zip(training, test ?? training).enumerated().map { seed, errors in
      let line = """
        {"epoch":1,"step":2,"loss":1,"accuracy":\(1 - errors.0 / 100),"learningRate":0.1,"imagesPerSecond":1,"waiting":0,
        "validationLoss":1,"validationAccuracy":\(1 - errors.1 / 100)}
        """
      return StudyResult.Run(
        seed: UInt64(seed), .finished, epochs: [try decoder.decode(EpochRecord.self, from: Data(line.utf8))])
    }
    let ended = diverged.map { StudyResult.Run(seed: 9, .diverged(step: $0)) }
    return StudyResult(StudyPlan.Network(name, ModelConfiguration(name: name, classes: 10)), runs + ended)
  }

  private func degradation(_ plain: ([Double], [Double]), _ residual: ([Double], [Double])) throws -> [String] {
    let results = [
      try result("plain20", plain.0), try result("plain56", plain.1), try result("resnet20", residual.0),
      try result("resnet56", residual.1),
    ]
    return ErrorFindings.text(.degradation, results).split(separator: "\n").map(String.init)
  }

  private static let (low, middle, high) = ([5.0, 5.1, 5.2], [5.0, 5.3, 5.1], [9.0, 9.1, 9.2])

  @Test(arguments: [
    (low, high, high, low, "More layers make the plain network fit its own training images worse, which is not overfitting, and"),
    (
      low, high, low, middle,
      "More layers make the plain network fit its own training images worse, which is not overfitting: the degradation of He et al. "
        + "2015. Whether shortcuts cure it is not decided by these runs."
    ),
    (low, high, low, high, "More layers make both networks fit their own training images worse"),
    (high, low, low, high, "The plain network does not degrade with more layers here, and the residual one does"),
    (low, middle, low, high, "More layers make the residual network fit its own training images worse; whether"),
    (high, low, high, low, "The plain network gains from more layers here: no degradation"),
    (low, middle, high, low, "Whether the plain network degrades with more layers is not decided by these runs."),
    ([5.0], [9.0], [9.0], [5.0], "By single seeds: more layers make the plain network fit its own training images worse"),
  ])
  func degradationIsToldAsItIs(_ a: [Double], _ b: [Double], _ c: [Double], _ d: [Double], _ conclusion: String) throws {
    let lines = try degradation((a, b), (c, d))
    #expect(lines.count == 5 && lines[4].hasPrefix(conclusion), "\(lines)")
  }

  @Test func comparisonsHaveTheirInterval() throws {
    let worse = ErrorFindings.compare(
      try result("plain56", Self.high), with: try result("plain20", Self.low), .training, "more layers are")
    #expect(
      worse
        == "plain56 has a training error of 9.10 %, and plain20 one of 5.10 %: more layers are worse by 4.00 points "
        + "(95 % interval 3.77 to 4.23).")
    let better = ErrorFindings.compare(
      try result("resnet20-B", [9], Self.low), with: try result("resnet20-A", [9], Self.low), .test, "its shortcuts are")
    #expect(better == "resnet20-B has a test error of 5.00 %, and resnet20-A one of 5.00 %: they are equal, with one seed.")
    let open = ErrorFindings.compare(try result("a", Self.middle), with: try result("b", Self.low), .test, "more layers are")
    #expect(open.contains("the spread of the seeds does not separate them by 0.03 points (95 % interval -"), "\(open)")
    let single = ErrorFindings.compare(try result("a", [4]), with: try result("b", [5]), .test, "more layers are")
    #expect(single.hasSuffix("more layers are better by 1.00 points with one seed, which may be chance: --seeds 3 tells more."))
    let alike = ErrorFindings.compare(
      try result("a", [4, 4]), with: try result("b", [5, 5]), .test, "more layers are")
    #expect(
      alike.hasSuffix("more layers are better by 1.00 points with seeds that do not differ at all, which may be chance."),
      "\(alike)")
  }

  @Test func divergedRunsAreCountedAndNotCompared() throws {
    let results = [
      try result("plain20", [5]), try result("plain56", [], diverged: [12, 1500]), try result("resnet20", [5]),
      try result("resnet56", [4], diverged: [3]),
    ]
    let text = ErrorFindings.text(.degradation, results)
    #expect(text.contains("plain56 has no finished run, so its training error cannot be compared."))
    #expect(text.contains("plain56 diverged from 2 of 2 seeds, in step 12, 1,500."))
    #expect(text.contains("resnet56 diverged from 1 of 2 seeds, in step 3."))
    #expect(!text.contains("own training images"), "\(text)")
  }

  @Test func depthsAreComparedOneByOne() throws {
    let text = ErrorFindings.text(
      .depth, [try result("resnet20", Self.high), try result("resnet32", Self.low), try result("resnet44", Self.middle)])
    let lines = text.split(separator: "\n")
    #expect(lines.count == 3 && lines[0].hasPrefix("resnet32") && lines[1].hasPrefix("resnet44"), "\(text)")
    #expect(lines[2] == "The lowest test error is that of resnet32: 5.10 ± 0.10 %.")
  }

  @Test(arguments: [
    ([1, 1, 1, 1, 1, 1], GradientFinding.Course.steady, "neither vanish nor explode"),
    ([1e-6, 1e-6, 1e-3, 1e-3, 1, 1], .growsWithDepth, "vanish toward the input, by a factor of 1e6"),
    ([1, 1, 1e-3, 1e-3, 1e-6, 1e-6], .fallsWithDepth, "explode toward the input, by a factor of 1e6"),
    ([0, 0, 1, 1, 1, 1], .isZero(layers: 2), "zero in 2 of 6 layers"),
    ([nil, nil, nil, 1, 1, 1], .isNotFinite(layers: 3), "not finite in 3 of 6 layers"),
    ([nil, nil, nil, nil, nil, nil], .isNotFinite(layers: 6), "not finite in 6 of 6 layers"),
  ])
  func coursesOfGradients(_ values: [Double?], _ course: GradientFinding.Course, _ words: String) {
    let finding = GradientFinding(values)
    #expect(finding.course == course, "\(finding)")
    let text = finding.gradients(of: "plain56-none", "at initialization", layers: 6)
    #expect(text.hasPrefix("plain56-none, at initialization: norms of gradients ") && text.contains(words), "\(text)")
    #expect(finding.responses(of: "a", "b", layers: 6).hasPrefix("a, b: standard deviations of responses "))
  }

  /// Builds results of four networks with the courses of their gradients.
  private func gradients(plain: [Double?]) -> GradientFindings {
    GradientFindings(
      ["plain8-bn", "resnet8-bn", "plain8-none", "resnet8-none"].map { name in
        let values = name == "plain8-bn" ? plain : [1, 1, 1]
        let layers = values.enumerated().map { LayerProbe.Layer("c\($0)", gradient: $1, response: 2, activation: 3) }
        let probes = RunProbes(
          initial: LayerProbe(layers: layers), last: name == "plain8-none" ? nil : LayerProbe(layers: layers))
        return StudyResult(
          StudyPlan.Network(name, ModelConfiguration(name: "resnet8", classes: 2)),
          [StudyResult.Run(seed: 0, .finished, probes: probes)])
      })
  }

  @Test func theConclusionFollowsThePlainNetworkWithNormalization() {
    let steady = gradients(plain: [1, 2, 1]).text.split(separator: "\n")
    // Seven moments of gradients and of responses, as one network did not reach its end.
    #expect(
      steady.count == 15
        && steady[14].hasSuffix(
          "do not vanish, as He et al. 2015 say in section 4.1: vanishing gradients are not what makes it hard to train.")
    )
    for (values, words) in [
      ([1e-6, 1e-3, 1], "vanish at initialization, unlike those of He et al. 2015"),
      ([0, 1, 1], "vanish at initialization"), ([nil, 1, 1], "are not finite at initialization."),
      ([1, 1e-3, 1e-6], "do not vanish, as He et al. 2015 say"),
      ([1, 1e-3, 1e-6], "They explode toward the input at initialization, as Yang et al. 2019 derive"),
    ] as [([Double?], String)] {
      #expect(gradients(plain: values).text.split(separator: "\n").last?.contains(words) == true, "\(words)")
    }
  }
}
