import Testing
import resnet

/// Answers to typical wrong commands: names of other programs, typing errors, and options of other subcommands. The parser runs
/// within the test, so that the whole table takes no time.
@Suite struct WrongCommandTests {
  /// Beginning of the first line, after `Error: `; the whole line if it does not end in a space.
  static let answers: [(String, String)] = options + devices + values + others

  static let options = [
    ("train --lr 0.1", "--lr is called --learning-rate here"), ("train --lr=0.1", "--lr is called --learning-rate here"),
    ("train -lr 0.1", "-lr is called --learning-rate here"), ("train --batch 64", "--batch is called --batch-size here"),
    ("train -b 64", "-b is called --batch-size here"), ("train --arch resnet50", "--arch is called --model here"),
    ("train -a resnet50", "-a is called --model here"), ("train --epoch 5", "--epoch is called --epochs here"),
    ("train --wd 1e-4", "--wd is called --weight-decay here"), ("train --opt adam", "--opt is called --optimizer here"),
    ("train --sched cosine", "--sched is called --schedule here"),
    ("train --warmup-steps 500", "--warmup-steps is called --warmup-epochs here: fractions of an epoch are allowed"),
    ("train --workers 8", "there is no --workers here: images are decoded by a thread for each processor"),
    ("train -j 8", "there is no -j here: images are decoded by a thread for each processor"),
    ("train --amp", "--amp is called --precision here: fp16 or bf16"),
    ("train --fp16", "--fp16 is called --precision fp16 here"), ("train --bf16", "--bf16 is called --precision bf16 here"),
    ("train --pretrained", "--pretrained is called --init here: it takes a file of weights, as nothing is downloaded"),
    ("train --weights w.pth", "--weights is called --init here: it takes a file of weights, as nothing is downloaded"),
    ("train --ckpt w.pth", "--ckpt is called --init here: it takes a file of weights, as nothing is downloaded"),
    ("train --data-dir flowers", "--data-dir is called --data here"),
    ("train --output-dir out", "--output-dir is called --output here"),
    ("train --num-classes 10", "there is no --num-classes here: the data set or the weights say how many classes there are"),
    ("train --img-size 224", "--img-size is called --image-size here"),
    ("train --imgsz 224", "--imgsz is called --image-size here"),
    ("train --manual-seed 1", "--manual-seed is called --seed here"),
    ("train --model-ema", "--model-ema is called --ema here: it takes the decay, for example --ema 0.999"),
    ("train --clip-grad 1", "--clip-grad is called --clip-norm here"),
    ("train --download", "there is no --download here: nothing is downloaded: `--data` and `--init` name files"),
    ("train --deterministic", "there is no --deterministic here: the same seed gives the same bits on the same device, always"),
    ("train --batchsize 32", "--batchsize is called --batch-size here"),
    ("train --learningrate 0.1", "Unknown option '--learningrate'. Did you mean '--learning-rate'?"),
    ("train --Epochs 3", "Unknown option '--Epochs'. Did you mean '--epochs'?"),
    ("train --bogus", "Unknown option '--bogus'"),
    ("train --top 3", "Unknown option '--top': it is an option of `resnet predict`"),
    ("train epochs=5", "Unexpected argument 'epochs=5': options begin with dashes, --epochs 5"),
    ("train lr=0.1", "Unexpected argument 'lr=0.1': --lr is called --learning-rate here"),
    ("train resnet50", "Unexpected argument 'resnet50'. Did you mean '--model resnet50'?"),
    ("predict --topk 3 x.png", "--topk is called --top here"),
    (
      "predict --source x.png",
      "--source is the argument <image> here: images and folders of them are named without an option"
    ),
    ("evaluate --lr 0.1", "--lr is called --learning-rate here, an option of `resnet train`"),
    ("evaluate --weights x.pth", "--weights is called --checkpoint here"),
    ("export --onnx x", "--onnx is called --output here: the ending of the file says its format: .safetensors or .onnx"),
    ("summary --model resnet50", "--model is the argument <model> here"),
    ("bench loader --data x --num-workers 4", "--num-workers is called --threads here"),
    (
      "devices --gpu",
      "--gpu is called --device here, an option of `resnet train`, `resnet evaluate`, `resnet predict` and others"
    ),
    ("verify --fast", "Unknown option '--fast'"),
  ]

  static let devices = ["cuda", "cuda:0", "gpu", "mps", "0,1"].map {
    (
      "train --device \($0)",
      "--device \($0): devices are those of OpenCL here; opencl takes the best device, and `resnet devices` lists all"
    )
  }

  static let values = [
    ("train --gpu 0", "--gpu is called --device here: opencl takes the best device, and `resnet devices` lists all"),
    ("train --cuda", "--cuda is called --device here: opencl takes the best device, and `resnet devices` lists all"),
    (
      "train --no-cuda",
      "--no-cuda is called --device cpu here: that is the slow reference; opencl runs on CPUs too, through PoCL"
    ),
    ("train --model resnet5O", "unknown model 'resnet5O'; the nearest is resnet50; known: "),
    ("train --model resnet-50", "unknown model 'resnet-50'; the nearest is resnet50; known: "),
    ("train --model efficientnet_b0", "unknown model 'efficientnet_b0'; known: resnet20 … 1202, "),
    ("train --model vit_base_patch16_224", "unknown model 'vit_base_patch16_224'; known: "),
    ("train --dataset FashionMNIST", "The value 'FashionMNIST' is invalid for '--dataset <dataset>': "),
    (
      "train --schedule cos",
      "The value 'cos' is invalid for '--schedule <schedule>'. Please provide one of 'constant', 'cosine', 'step' or 'one-cycle'. "
        + "Did you mean 'cosine'?"
    ),
    (
      "train --schedule plateau",
      "The value 'plateau' is invalid for '--schedule <schedule>'. Please provide one of 'constant', 'cosine', 'step' or 'one-cycle'."
    ),
    (
      "train --precision half",
      "The value 'half' is invalid for '--precision <precision>'. Please provide one of 'fp32', 'fp16' or 'bf16'. "
        + "Did you mean 'fp16'?"
    ),
    ("train --epochs", "Missing value for '--epochs <epochs>'"),
    ("train --epochs ten", "The value 'ten' is invalid for '--epochs <epochs>'"),
    ("train --epochs 0", "--epochs 0: at least one is needed"),
  ]

  static let others = [
    ("trian", "Unexpected argument 'trian'. Did you mean 'train'?"),
    ("fit", "Unexpected argument 'fit': it is called train here"),
    ("test", "Unexpected argument 'test': it is called evaluate here"),
    ("eval", "Unexpected argument 'eval': it is called evaluate here"),
    ("infer", "Unexpected argument 'infer': it is called predict here"), ("fly", "Unexpected argument 'fly'"),
    ("tensorboard", "Unexpected argument 'tensorboard': it is called report here"),
    ("evaluate --top-losses 9", "--top-losses is called --worst here: it takes a number of images"),
    ("cache purge", "Unexpected argument 'purge': it is called clear here"), ("bench train", "Unexpected argument 'train'"),
    ("bench model", "Missing expected argument '<model>'"), ("export x", "Missing expected argument '--output <file>'"),
  ]

  @Test func thereAreMany() { #expect(Self.answers.count > 70) }

  @Test(arguments: answers) func theAnswer(_ line: String, _ answer: String) throws {
    let text = try #require(
      CommandLineInterface.complaint(about: line.split(separator: " ").map(String.init)), "\(line) is right")
    let first = try #require(text.split(separator: "\n").first)
    let isOpen = answer.hasSuffix(" ")
    #expect(isOpen ? first.hasPrefix("Error: \(answer)") : first == "Error: \(answer)", "\(text)")
    // The usage follows, and no help of an option that was not meant.
    #expect(text.contains("Usage: resnet"), "\(text)")
  }
}
