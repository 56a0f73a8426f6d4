import Compute
import Testing

@Suite struct GeometryTests {
  @Test func shapeCountsItsElements() {
    #expect(Shape([2, 3, 5]).count == 30)
    #expect(Shape([]).count == 1)
    #expect(Shape([4, 0, 2]).count == 0)
    #expect("\(Shape([128, 32, 32, 16]))" == "[128, 32, 32, 16]")
  }

  /// Counts the windows one by one.
  @Test func windowSizesAgreeWithCounting() {
    for input in 1...9 {
      for window in 1...7 {
        for step in 1...3 {
          for padding in 0...3 {
            let starts = Array(stride(from: -padding, through: input + padding - window, by: step))
            #expect(Window.outputSize(input: input, window: window, stride: step, padding: padding) == starts.count)
          }
        }
      }
    }
  }

  @Test func theStemOfResNet50() {
    let g = Conv2D(input: [16, 224, 224, 3], filter: [7, 7, 3, 64], stride: 2, padding: 3)
    #expect(g.output == [16, 112, 112, 64])
    #expect(g.input == [16, 224, 224, 3])
    #expect(g.filter == [7, 7, 3, 64])
    #expect(g.macs == 16 * 118_013_952)
    #expect(Pool2D(input: g.output, window: 3, stride: 2, padding: 1).output == [16, 56, 56, 64])
  }

  @Test func filterSidesAreNotConfused() {
    let g = Conv2D(input: [1, 9, 20, 2], filter: [3, 5, 2, 4])
    #expect(g.output == [1, 7, 16, 4])
    #expect((g.r, g.s) == (3, 5))
  }
}
