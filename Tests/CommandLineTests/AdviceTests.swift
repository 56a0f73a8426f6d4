import Foundation
import Testing
import resnet

/// Tests when a run gets advice, and that it gets each only once.
@Suite struct AdviceTests {
  private func advice(classes: Int = 10, warmupSteps: Int = 0) -> Advice {
    Advice(classes: classes, warmupSteps: warmupSteps, learningRate: 0.1)
  }

  @Test func fewImagesOfAClass() throws {
    var advice = advice()
    #expect(advice.beforeTraining(images: 500, isPretrained: false) == nil)
    #expect(advice.beforeTraining(images: 499, isPretrained: true) == nil)
    let given = advice.beforeTraining(images: 499, isPretrained: false)
    let text = try #require(given)
    #expect(text.hasPrefix("49 images a class are few") && text.contains("--init"))
    #expect(advice.beforeTraining(images: 499, isPretrained: false) == nil)
  }

  @Test func statisticsThatHaveNotSettled() throws {
    var advice = advice()
    #expect(advice.afterEpoch(epoch: 1, step: 99, loss: 2, validationLoss: 5.9) == nil, "not three times")
    #expect(advice.afterEpoch(epoch: 1, step: 99, loss: 1, validationLoss: 4.6) == nil, "not twice the loss of a guess, 4.605")
    #expect(advice.afterEpoch(epoch: 1, step: 100, loss: 1, validationLoss: 50) == nil, "the statistics have settled")
    #expect(advice.afterEpoch(epoch: 2, step: 99, loss: 1, validationLoss: 50) == nil, "it may be overfitting")
    let given = advice.afterEpoch(epoch: 1, step: 99, loss: 1, validationLoss: 4.7)
    let text = try #require(given)
    #expect(text.contains("after 99 steps") && text.contains("batch normalization"))
    #expect(advice.afterEpoch(epoch: 1, step: 99, loss: 1, validationLoss: 50) == nil)
  }

  @Test func aLossThatIsTooLarge() throws {
    var advice = advice(warmupSteps: 30)
    let limit = 10 * log(10.0)
    for step in 1...49 { #expect(advice.afterStep(epoch: 1, step: step, loss: 2 * limit) == nil) }
    let given = advice.afterStep(epoch: 1, step: 50, loss: 2 * limit)
    let text = try #require(given)
    #expect(text.contains("the loss is 46.05") && text.contains("2.3026") && text.contains("--learning-rate 0.01"))
    #expect(advice.afterStep(epoch: 1, step: 51, loss: 2 * limit) == nil)

    var usual = self.advice()
    for step in 1...200 { #expect(usual.afterStep(epoch: 1, step: step, loss: 0.99 * limit) == nil) }
    var single = self.advice(classes: 1)
    for step in 1...200 { #expect(single.afterStep(epoch: 1, step: step, loss: 1e6) == nil, "a guess among one is always right") }
  }

  /// It is told during the warm-up too, and by the mean of five steps, not by a single one.
  @Test func aLossThatExplodes() throws {
    var advice = advice(warmupSteps: 1000)
    // The first losses are above ln(10), so the limit is ten times as large as they are.
    for step in 1...5 { #expect(advice.afterStep(epoch: 1, step: step, loss: 4) == nil) }
    #expect(advice.afterStep(epoch: 1, step: 6, loss: 160) == nil)
    for step in 7...20 { #expect(advice.afterStep(epoch: 1, step: step, loss: 4) == nil) }
    for step in 21...24 { #expect(advice.afterStep(epoch: 1, step: step, loss: 44) == nil) }
    let given = advice.afterStep(epoch: 1, step: 25, loss: 84)
    let text = try #require(given)
    #expect(text.contains("it was 4.0000 at the beginning and is 52.00 now") && text.contains("--learning-rate 0.01"))
    #expect(advice.afterStep(epoch: 1, step: 26, loss: 84) == nil)
  }

  @Test func aLossThatRises() throws {
    /// - Parameter spread: distance of each loss from the mean, up and down in turn.
    func rises(from first: Double, to last: Double, spread: Double = 0, steps: Int) -> String? {
      var advice = advice()
      for step in 1...steps {
        let loss = (step <= steps / 2 ? first : last) + (step % 2 == 0 ? spread : -spread)
        #expect(advice.afterStep(epoch: 1, step: step, loss: loss) == nil)
      }
      return advice.afterEpoch(epoch: 1, step: 1000, loss: 2, validationLoss: 2)
    }
    #expect(rises(from: 1, to: 1.29, steps: 40) == nil)
    #expect(rises(from: 1, to: 1.5, steps: 39) == nil)
    #expect(rises(from: 2, to: 1, steps: 40) == nil)
    // Ten losses each: three standard errors of the difference are √2 times the spread.
    #expect(rises(from: 1, to: 1.5, spread: 0.36, steps: 40) == nil)
    #expect(rises(from: 1, to: 1.5, spread: 0.35, steps: 40) != nil)
    let text = try #require(rises(from: 1, to: 1.5, steps: 40))
    #expect(text.contains("from 1.0000 to 1.5000") && text.contains("--learning-rate 0.01"))
  }
}
