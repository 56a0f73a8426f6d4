import Testing
import resnet

/// Tests the parts of the line of progress.
@Suite struct DisplayTests {
  private let fields = ["epoch 3/10", "354/468", "loss 0.2185 ↓", "ETA 0:07", "accuracy 92.7 % ↑", "2,251 images/s"]

  @Test(arguments: [1, 2, 5, 12, 13, 20, 39, 40, 41, 79, 80, 81, 90, 120, 500]) func aLineNeverFillsTheTerminal(width: Int) {
    for style in [LineStyle.unicode, .ascii] {
      for fraction in [nil, 0, 0.5, 1, 2, -1, .nan] as [Double?] {
        let line = style.line(frame: 3, fields, fraction: fraction, width: width)
        #expect(columns(of: line) < width, "\(line)")
      }
    }
  }

  @Test func fieldsAreLeftOutFromTheRight() {
    let style = LineStyle.ascii
    #expect(style.line(frame: 0, fields, fraction: 0.5, width: 40) == "| epoch 3/10  354/468  loss 0.2185 ↓")
    #expect(
      style.line(frame: 1, fields, fraction: nil, width: 79)
        == "/ epoch 3/10  354/468  loss 0.2185 ↓  ETA 0:07  accuracy 92.7 % ↑")
    #expect(
      style.line(frame: 2, fields, fraction: 0.5, width: 120)
        == "- epoch 3/10  [##############..............]  354/468  loss 0.2185 ↓  ETA 0:07  accuracy 92.7 % ↑  2,251 images/s"
    )
    #expect(style.line(frame: 3, ["measuring"], fraction: 0.5, width: 0).count == 2 + "measuring".count + 2 + 30)
    #expect(style.line(frame: 4, ["checking operations 3/9"], fraction: nil, width: 12) == "| checking ")
  }

  @Test(arguments: [
    ("abc", 3), ("é", 1), ("e\u{301}", 1), ("日本", 4), ("한국어", 6), ("🙂", 2), ("♥\u{FE0F}", 2), ("a\u{200D}b", 2), ("⠋█░↓–…", 6),
  ])
  func columnsAreCounted(text: String, count: Int) { #expect(columns(of: text) == count) }

  @Test func wideNamesAreCounted() {
    let line = LineStyle.unicode.line(frame: 0, ["classifying", "日本語の名前の長い画像"], fraction: nil, width: 36)
    #expect(line == "⠋ classifying  日本語の名前の長い画像".prefix(line.count) && columns(of: line) <= 35)
    #expect(LineStyle.unicode.line(frame: 0, ["日本語"], fraction: nil, width: 7) == "⠋ 日本")
  }

  @Test(
    arguments: [
      (["LANG": "en_US.UTF-8"], true), (["LANG": "de_DE.utf8"], true), (["LANG": "C"], false), ([:], false),
      (["LANG": "C.UTF-8", "LC_ALL": "C"], false), (["LC_ALL": "", "LC_CTYPE": "C.UTF-8", "LANG": "C"], true),
    ] as [([String: String], Bool)])
  func theLocaleDecidesOnTheCharacters(environment: [String: String], isUnicode: Bool) {
    #expect(LineStyle(environment).falling == (isUnicode ? "↓" : "v"))
  }

  @Test func rowsBreakBetweenFields() {
    let fields = ["epoch 1/10", "loss 0.2", "accuracy 90.00 %"]
    #expect(flowed(fields, optional: ["9 images/s"], width: 80) == "epoch 1/10  loss 0.2  accuracy 90.00 %  9 images/s")
    #expect(flowed(fields, optional: ["9 images/s"], width: 40) == "epoch 1/10  loss 0.2  accuracy 90.00 %")
    #expect(flowed(fields, width: 24) == "epoch 1/10  loss 0.2\n  accuracy 90.00 %")
    for row in flowed(fields, width: 20).split(separator: "\n") { #expect(row.count < 20) }
  }

  @Test func thePaceCountsFromTheEndOfTheFirstItem() throws {
    var pace = Pace()
    pace.add(1, at: 100)
    #expect(pace.secondsLeft(until: 11, at: 100) == nil)
    for item in 2...5 { pace.add(item, at: 100 + 2 * Double(item - 1)) }
    #expect(try abs(#require(pace.secondsPerItem) - 2) < 1e-9)
    #expect(try abs(#require(pace.secondsLeft(until: 11, at: 108)) - 12) < 1e-9)
    #expect(try abs(#require(pace.secondsLeft(until: 11, at: 109)) - 11) < 1e-9, "it counts down between two items")
    #expect(try #require(pace.secondsLeft(until: 11, at: 200)) > 60, "work that stands still takes longer")
    #expect(try #require(pace.secondsLeft(until: 5, at: 108)) == 0)
  }

  @Test func thePaceForgetsWhatIsLongAgo() throws {
    var pace = Pace()
    for item in 1...100 { pace.add(item, at: Double(item)) }
    for item in 101...1100 { pace.add(item, at: 100 + Double(item - 100) / 10) }
    #expect(try abs(#require(pace.secondsPerItem) - 0.1) < 0.01)
  }

  @Test func otherWorkDoesNotCount() throws {
    var pace = Pace()
    for item in 1...10 { pace.add(item, at: Double(item)) }
    pace.resume(11, at: 1000)
    for item in 12...15 { pace.add(item, at: 1000 + Double(item - 11)) }
    #expect(try abs(#require(pace.secondsPerItem) - 1) < 1e-9)
    #expect(try abs(#require(pace.secondsLeft(until: 20, at: 1004)) - 5) < 1e-9)
  }

  @Test func trendsFollowTheirValues() throws {
    var trend = Trend()
    #expect(trend.value == nil && trend.direction == nil)
    for value in stride(from: 2.0, to: 1.0, by: -0.02) { trend.add(value) }
    #expect(trend.direction == .falling)
    for _ in 0..<500 { trend.add(1) }
    #expect(try trend.direction == .level && abs(#require(trend.value) - 1) < 1e-3)
    for value in stride(from: 1.0, to: 2.0, by: 0.02) { trend.add(value) }
    #expect(trend.direction == .rising)
    let before = trend.value
    trend.add(.nan)
    #expect(trend.value == before)
  }

  @Test func aRunShowsItsSteps() {
    var progress = WorkProgress()
    progress.begin(RunProgress(stepsPerEpoch: 100, totalSteps: 200), at: 0)
    #expect(progress.fields(.ascii, at: 65) == ["epoch 1/2", "0/100", "1:05"])
    #expect(progress.logLine(at: 65) == nil)
    for step in 1...20 {
      progress.advance(
        to: .init(epoch: 1, stepOfEpoch: step, step: step, images: 64, loss: 2 - Double(step) / 20, accuracy: 0.5),
        at: 65 + Double(step))
    }
    let line = progress.fields(.ascii, at: 85)
    #expect(line[1] == "20/100" && line[2].hasPrefix("loss 1.") && line[2].hasSuffix(" v"), "\(line)")
    #expect(Array(line[3...]) == ["ETA 3:00", "accuracy 50.0 % =", "64 images/s"], "\(line)")
    #expect(progress.fraction == 0.2)
    #expect(progress.logLine(at: 85)?.hasPrefix("epoch 1/2  step 20/100  loss 1.") == true)

    // The seconds of a validation count for those to come, and not as seconds of steps.
    progress.begin(.validating, of: 200, at: 85)
    progress.advance(to: 100, at: 90)
    #expect(progress.fields(.ascii, at: 90) == ["epoch 1/2", "validating 50 %", "0:05"])
    progress.advance(to: 200, at: 95)
    progress.advance(to: .init(epoch: 2, stepOfEpoch: 1, step: 101, images: 64, loss: 1, accuracy: 0.5), at: 96)
    #expect(progress.fields(.ascii, at: 96).first == "epoch 2/2")
  }

  @Test func aRunWithoutStepsOverflowsNothing() {
    var progress = WorkProgress()
    progress.begin(RunProgress(stepsPerEpoch: 0, totalSteps: 0), at: 0)
    #expect(progress.fields(.ascii, at: 1).first == "epoch 1/0" && progress.fraction == 0)
    progress.begin(.evaluating, of: 0, at: 1)
    #expect(progress.fraction == nil && progress.fields(.ascii, at: 2).first == "evaluating 0")
    progress.begin(.compiling, of: 81, at: 2)
    progress.advance(to: 34, at: 3)
    #expect(
      progress.fields(.ascii, at: 3).first == "compiling kernels 34/81" && progress.logLine(at: 3) == "compiling kernels 34/81")
    progress.begin(.reading, of: 60_000, at: 4)
    progress.advance(to: 1200, at: 5)
    #expect(progress.logLine(at: 5) == "reading images 1,200/60,000")
  }

  @Test(
    arguments: [
      (0.2185, "0.2185"), (0, "0.0000"), (9.99994, "9.9999"), (9.99996, "10.00"), (12.345, "12.35"), (123.46, "123.5"),
      (1234.5, "1234"), (12345.6789, "1.23e+04"), (1e300, "1.00e+300"), (0.00012, "1.20e-04"), (-3.5, "-3.5000"),
      (.nan, "–"), (.infinity, "–"),
    ] as [(Double, String)])
  func losses(value: Double, text: String) { #expect(lossText(value) == text) }

  @Test(
    arguments: [
      (0, "0.0"), (4.23, "4.2"), (9.94, "9.9"), (9.96, "10"), (2251.4, "2,251"), (.infinity, "–"), (1e300, "–"),
    ] as [(Double, String)])
  func rates(value: Double, text: String) { #expect(rateText(value) == text) }

  @Test(arguments: [
    ("runs/a/best.safetensors", "runs/a/best.safetensors"), ("my run/x", "'my run/x'"), ("it's", "'it'\\''s'"), ("", "''"),
    ("$HOME", "'$HOME'"), ("größe", "größe"),
  ])
  func wordsForAShell(word: String, text: String) { #expect(shellQuoted(word) == text) }
}
