namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>
/// Llama 3's scaling of RoPE. Hugging Face keeps its four parameters, GGUF the resulting factor of each pair of dimensions:
/// wavelengths below original/high stay, those above original/low are divided by the factor, in between it blends.
/// </summary>
public static class RopeScaling
{
    public sealed record Llama3(double Factor, double LowFrequency, double HighFrequency, double OriginalContext);

    public static float[] Factors(Llama3 scaling, double theta, int headLength)
    {
        var factors = new float[headLength / 2];
        for (var i = 0; i < factors.Length; i++)
        {
            var wavelength = Wavelength(theta, headLength, i);
            var smooth = (scaling.OriginalContext / wavelength - scaling.LowFrequency) / (scaling.HighFrequency - scaling.LowFrequency);
            factors[i] = (float)(wavelength < scaling.OriginalContext / scaling.HighFrequency ? 1
                : wavelength > scaling.OriginalContext / scaling.LowFrequency ? scaling.Factor
                : 1 / ((1 - smooth) / scaling.Factor + smooth));
        }
        return factors;
    }

    /// <summary>The parameters that give these factors (low 1 and high 4, which all such models have); null if none do.</summary>
    public static Llama3? Recover(ReadOnlySpan<float> factors, double theta, int headLength)
    {
        var factor = 1f;
        foreach (var f in factors) factor = Math.Max(factor, f);
        // One blended pair tells the original context; without one, any length between the two neighbours does: try round ones.
        var candidates = new List<double>();
        for (var i = 0; i < factors.Length; i++)
            if (factors[i] > 1 && factors[i] < factor)
                candidates.Add(Math.Round(Wavelength(theta, headLength, i) * ((1.0 / factors[i] - 1.0 / factor) / (1 - 1.0 / factor) * 3 + 1)));
        for (var power = 5; power < 24; power++) candidates.Add(1 << power);
        foreach (var original in candidates)
        {
            var scaling = new Llama3(factor, 1, 4, original);
            var again = Factors(scaling, theta, headLength);
            var same = true;
            for (var i = 0; i < factors.Length; i++) same &= Math.Abs(again[i] - factors[i]) <= 1e-3 * factors[i];
            if (same) return scaling;
        }
        return null;
    }

    private static double Wavelength(double theta, int headLength, int pair) => 2 * Math.PI * Math.Pow(theta, 2.0 * pair / headLength);
}
