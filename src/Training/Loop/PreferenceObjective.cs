using System.Numerics.Tensors;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Training.Data;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// Direct preference optimisation with the sigmoid loss (Rafailov et al., 2023): an answer's reward is beta times how much more
/// probable the policy finds it than the reference does, and a pair's loss is −log σ(reward of the chosen − of the rejected).
/// With smoothing s the pair is taken to be the wrong way round with probability s (Mitchell, 2023).
/// </summary>
/// <param name="reference">Log-probabilities of the answers under the reference: two a pair, chosen first, in the order of the step's examples.</param>
public sealed class PreferenceObjective(double beta, double smoothing, ReadOnlyMemory<double> reference) : IObjective
{
    public int Terms(PackedBatch batch) => batch.Segments / 2;

    public float[] Add(PackedBatch batch, TokenLosses losses, ObjectiveSums sums)
    {
        var preferences = sums.Preferences ??= new PreferenceSums();
        var answers = Answers(batch, losses);                                  // log-probabilities and tokens, by example
        var slopeOf = new Dictionary<int, float>();                            // of each example's tokens
        foreach (var chosen in answers.Keys.Where(example => example % 2 == 0))
        {
            var (rewardChosen, rewardRejected) = (Reward(chosen), Reward(chosen + 1));
            var margin = rewardChosen - rewardRejected;
            var (right, wrong) = (Sigmoid(margin), Sigmoid(-margin));
            sums.Loss += (1 - smoothing) * Softplus(-margin) + smoothing * Softplus(margin);
            sums.Terms++;
            preferences.RewardChosen += rewardChosen;
            preferences.RewardRejected += rewardRejected;
            if (margin > 0) preferences.Won++;

            // By the margin the loss changes with −(1 − s)·σ(−margin) + s·σ(margin); a token's loss is −log p.
            var slope = (float)(beta * ((1 - smoothing) * wrong - smoothing * right));
            (slopeOf[chosen], slopeOf[chosen + 1]) = (slope, -slope);
        }
        sums.NegativeLogLikelihood += losses.NegativeLogLikelihoods.Sum();
        sums.Tokens += losses.Values.Length;
        sums.CorrectTokens += losses.Correct;
        return [.. batch.SegmentExamples.SelectMany(example => Enumerable.Repeat(slopeOf[example], answers[example].Tokens))];

        double Reward(int example) => beta * (answers[example].LogProbability - reference.Span[example]);
    }

    /// <summary>The summed log-probability of each example's supervised tokens, and how many they are.</summary>
    public static Dictionary<int, (double LogProbability, int Tokens)> Answers(PackedBatch batch, TokenLosses losses)
    {
        var answers = new Dictionary<int, (double, int)>(batch.Segments);
        var at = 0;
        for (var segment = 0; segment < batch.Segments; segment++)
        {
            var supervised = batch.Labels.AsSpan(batch.SegmentStarts[segment]..batch.SegmentStarts[segment + 1]);
            var tokens = supervised.Length - supervised.Count(EncodedExample.Unsupervised);
            answers[batch.SegmentExamples[segment]] = (-TensorPrimitives.Sum(losses.NegativeLogLikelihoods.AsSpan(at, tokens)), tokens);
            at += tokens;
        }
        return answers;
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private static double Softplus(double x) => Math.Max(x, 0) + double.LogP1(Math.Exp(-Math.Abs(x)));
}
