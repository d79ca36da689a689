namespace TokenMill.Training.Models;

/// <summary>What a training pass does that other passes do not, so that the model generalises. The default does nothing.</summary>
public readonly record struct Regularization
{
    /// <summary>Share of an adapter's inputs that is dropped.</summary>
    public double Dropout { get; init; }

    /// <summary>NEFTune's alpha.</summary>
    public double EmbeddingNoise { get; init; }

    /// <summary>Share of a target's probability that is spread over the whole vocabulary.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>Decides every random number of the pass.</summary>
    public ulong Seed { get; init; }
}
