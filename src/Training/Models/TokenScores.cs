namespace TokenMill.Training.Models;

/// <summary>How a model scores a given sequence: log p(ids[i+1] | ids[..i]) for each i (natural), and the logits behind the last token.</summary>
public sealed record TokenScores(double[] NextTokenLogProbabilities, float[] Last)
{
    public static TokenScores Of(CausalModel model, int[] ids)
    {
        var vocabulary = model.Config.VocabularySize;
        var scores = new double[ids.Length - 1];
        var last = new float[vocabulary];
        model.Logits(ids, (first, logits) =>
        {
            for (var row = 0; row < logits.Length / vocabulary; row++)
            {
                var values = logits.AsSpan(row * vocabulary, vocabulary);
                if (first + row == ids.Length - 1) values.CopyTo(last);
                else scores[first + row] = values[ids[first + row + 1]] - LogSumExp(values);
            }
        });
        return new TokenScores(scores, last);
    }

    private static double LogSumExp(ReadOnlySpan<float> values)
    {
        var greatest = float.NegativeInfinity;
        foreach (var value in values) greatest = Math.Max(greatest, value);
        var total = 0.0;
        foreach (var value in values) total += Math.Exp(value - greatest);
        return greatest + Math.Log(total);
    }
}
