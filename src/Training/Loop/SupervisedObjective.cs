using TokenMill.Training.Data;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// The mean loss of supervised tokens: fine-tuning on answers, pre-training on everything. With weights of messages it is
/// Σ weight·loss / Σ weight over the tokens of the whole accumulated batch.
/// </summary>
public sealed class SupervisedObjective : IObjective
{
    public double Terms(PackedBatch batch) => batch.Weights is null ? batch.SupervisedTokens : batch.SupervisedWeights().Sum(weight => (double)weight);

    public float[] Add(PackedBatch batch, TokenLosses losses, ObjectiveSums sums)
    {
        var weights = batch.SupervisedWeights();
        for (var i = 0; i < weights.Length; i++)
        {
            sums.Loss += weights[i] * losses.Values[i];
            sums.NegativeLogLikelihood += weights[i] * losses.NegativeLogLikelihoods[i];
            sums.Terms += weights[i];
        }
        sums.Tokens += weights.Length;
        sums.CorrectTokens += losses.Correct;
        return weights;
    }
}
