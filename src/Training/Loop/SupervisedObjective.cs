using TokenMill.Training.Data;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>The mean loss of supervised tokens: fine-tuning on answers, pre-training on everything.</summary>
public sealed class SupervisedObjective : IObjective
{
    public int Terms(PackedBatch batch) => batch.SupervisedTokens;

    public float[] Add(PackedBatch batch, TokenLosses losses, ObjectiveSums sums)
    {
        sums.Loss += losses.Values.Sum();
        sums.NegativeLogLikelihood += losses.NegativeLogLikelihoods.Sum();
        sums.Terms += losses.Values.Length;
        sums.Tokens += losses.Values.Length;
        sums.CorrectTokens += losses.Correct;
        var slopes = new float[losses.Values.Length];
        Array.Fill(slopes, 1);
        return slopes;
    }
}
