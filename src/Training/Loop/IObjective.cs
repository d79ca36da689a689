using TokenMill.Training.Data;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// What a step minimises: a mean over the terms (supervised tokens, or pairs of answers) of the whole accumulated batch. An
/// objective sees the losses of a micro-batch's supervised tokens and says how the sum of its terms changes with each of them.
/// </summary>
public interface IObjective
{
    /// <summary>Terms of a micro-batch.</summary>
    int Terms(PackedBatch batch);

    /// <summary>Adds the micro-batch's terms to <paramref name="sums"/>; gives the derivative of their sum by each token's loss.</summary>
    float[] Add(PackedBatch batch, TokenLosses losses, ObjectiveSums sums);
}

/// <summary>Sums over the terms of a step or an evaluation.</summary>
public sealed class ObjectiveSums
{
    public double Loss { get; set; }

    /// <summary>−log p of all supervised tokens, which smoothing does not change.</summary>
    public double NegativeLogLikelihood { get; set; }
    public int Terms { get; set; }
    public long Tokens { get; set; }
    public long CorrectTokens { get; set; }
    public PreferenceSums? Preferences { get; set; }
}

/// <summary>Sums over pairs of answers.</summary>
public sealed class PreferenceSums
{
    public double RewardChosen { get; set; }
    public double RewardRejected { get; set; }

    /// <summary>Pairs whose chosen answer has the greater reward; ties do not count.</summary>
    public int Won { get; set; }
}
