namespace TokenMill.Training.Forecast;

/// <summary>What a probe measured on the first <paramref name="Layers"/> layers of a model. Where nothing else is said, bytes are those of tensors and weights that are alive.</summary>
/// <param name="TrainableParameters">Of these layers.</param>
/// <param name="StateBytes">What a checkpoint of them holds.</param>
/// <param name="OutsideBytes">What is resident beside tensors and weights: the program, libtorch, the vocabulary, and what products of many shapes leave behind.</param>
/// <param name="HolesShare">What is resident of the tensors' pool beyond what was alive at its peak, over what passes take and give back.</param>
/// <param name="LoadPeakBytes">The most while the model was read.</param>
/// <param name="WeightBytes">After it.</param>
/// <param name="SaveSecondsPerByte">Of a checkpoint: copied, hashed, written and flushed.</param>
/// <param name="UpdateSeconds">The optimizer's part of a step.</param>
/// <param name="ValidationShare">Time of a pass without gradient over that of one with it.</param>
public sealed record ProbeResult(int Layers, long TrainableParameters, long StateBytes, double LoadSeconds, long OutsideBytes, double HolesShare, long LoadPeakBytes, long WeightBytes,
    double SaveSecondsPerByte, double UpdateSeconds, double ValidationShare, IReadOnlyList<ProbedPass> Passes);

/// <param name="PeakBytes">The most while this pass ran.</param>
/// <param name="Seconds">Each repetition.</param>
public sealed record ProbedPass(PassShape Shape, long PeakBytes, IReadOnlyList<double> Seconds);
