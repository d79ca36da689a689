using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Loop;

/// <summary>
/// Linear warm-up from 0, then constant, linear to 0, or half a cosine to 0; the same numbers as transformers' schedules.
/// The first rate of a warm-up is 0.
/// </summary>
public sealed class LearningRateSchedule(ScheduleSpec spec, double peak, int totalSteps)
{
    public int WarmupSteps { get; } = spec.WarmupSteps ?? (int)Math.Ceiling((spec.WarmupRatio ?? 0) * totalSteps);

    /// <param name="step">Steps done before this one, from 0.</param>
    public double At(int step)
    {
        if (step < WarmupSteps) return peak * step / Math.Max(1, WarmupSteps);
        var progress = (double)(step - WarmupSteps) / Math.Max(1, totalSteps - WarmupSteps);
        return spec.Name switch
        {
            "constant" => peak,
            "linear" => peak * Math.Max(0, 1 - progress),
            _ => peak * Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * progress))),
        };
    }
}
