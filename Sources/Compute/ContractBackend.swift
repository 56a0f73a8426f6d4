/// A backend that performs all operations in one way, which it derives from their contracts.
///
/// The files of `Compute/Operations` implement every operation of ``Backend`` by ``perform(_:)``, except
/// ``LossOperations/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)``, whose gradient depends on the size of the
/// whole batch. A class implements anew the operations that need more than their contract.
public protocol ContractBackend: Backend {
  /// Performs a call.
  func perform(_ operation: OperationContract) throws
}
