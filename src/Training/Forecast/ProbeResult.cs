namespace TokenMill.Training.Forecast;

/// <summary>What a probe measured on the first <paramref name="Layers"/> layers of a model. Bytes are resident memory of its process.</summary>
/// <param name="TrainableParameters">Of these layers.</param>
/// <param name="RuntimeBytes">Before the model: the program, libtorch, vocabulary.</param>
/// <param name="LoadPeakBytes">The most while the model was read.</param>
/// <param name="LoadedBytes">After it.</param>
/// <param name="ReadyBytes">After the first step: gradients and the optimizer's state are there.</param>
/// <param name="UpdateSeconds">The optimizer's part of a step.</param>
/// <param name="ValidationShare">Time of a pass without gradient over that of one with it.</param>
public sealed record ProbeResult(int Layers, long TrainableParameters, double LoadSeconds, long RuntimeBytes, long LoadPeakBytes, long LoadedBytes, long ReadyBytes,
    double UpdateSeconds, double ValidationShare, IReadOnlyList<ProbedPass> Passes);

/// <param name="PeakBytes">The most while this pass ran.</param>
/// <param name="Seconds">Each repetition.</param>
public sealed record ProbedPass(PassShape Shape, long PeakBytes, IReadOnlyList<double> Seconds);
