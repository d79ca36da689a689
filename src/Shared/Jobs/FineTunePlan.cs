namespace TokenMill.Shared.Jobs;

/// <summary>What a run will cost, told before it starts. Bytes are resident memory of the trainer's process, or of files.</summary>
/// <param name="Memory">Parts of <paramref name="PeakMemoryBytes"/> by name; they add up to it.</param>
/// <param name="TokensPerEpoch">Real tokens, by the weights of the sources.</param>
/// <param name="RowsPerEpoch">Rows of data (or pairs) that an epoch visits.</param>
/// <param name="PackedRowsPerEpoch">Rows of max_length that packing lays them into.</param>
/// <param name="Seconds">From start to finish, evaluations and exports included.</param>
/// <param name="CheckpointBytes">Of one; checkpoint.keep of them are on disk.</param>
/// <param name="AvailableMemoryBytes">What the machine can still give; <paramref name="Fits"/> compares with it.</param>
/// <param name="Sampled">The data are large, and a part of them was looked at.</param>
/// <param name="Advice">Changes to the specification, each of which alone is estimated to make the run fit.</param>
public sealed record FineTunePlan(
    long TrainableParameters, long Parameters, long PeakMemoryBytes, IReadOnlyDictionary<string, long> Memory,
    long TokensPerEpoch, long RowsPerEpoch, long PackedRowsPerEpoch, int Steps, PlannedSeconds Seconds,
    long CheckpointBytes, long AvailableMemoryBytes, bool Fits, bool Sampled, IReadOnlyList<PlanAdvice> Advice);

public sealed record PlannedSeconds(double Low, double Expected, double High);

/// <summary>A change of one field of the specification. Values are as they stand in JSON.</summary>
public sealed record PlanAdvice(string Field, string From, string To, string Why);
