namespace TokenMill.Training.Loop;

/// <summary>Wall time of a run over all its processes, and the share of it that was spent on steps that are kept.</summary>
public sealed class RunClock(TimeProvider time)
{
    private readonly long _started = time.GetTimestamp();
    private long _lastStep = time.GetTimestamp();
    private double _earlierSeconds;
    private double _secondsPerStep;

    /// <summary>Time inside steps.</summary>
    public double EffectiveSeconds { get; private set; }

    public double Seconds => _earlierSeconds + time.GetElapsedTime(_started).TotalSeconds;

    public double EffectiveTime => Seconds > 0 ? Math.Clamp(EffectiveSeconds / Seconds, 0, 1) : 0;

    public void Resume(double effectiveSeconds, double seconds) => (EffectiveSeconds, _earlierSeconds) = (effectiveSeconds, seconds);

    /// <summary>From here on time counts toward the next step.</summary>
    public void Start() => _lastStep = time.GetTimestamp();

    /// <summary>Counts a step that began at <paramref name="stepStarted"/>; gives the seconds since the last one ended.</summary>
    public double Step(long stepStarted)
    {
        var now = time.GetTimestamp();
        EffectiveSeconds += time.GetElapsedTime(stepStarted, now).TotalSeconds;
        var sinceLast = time.GetElapsedTime(_lastStep, now).TotalSeconds;
        _lastStep = now;
        const double weight = 0.1;                          // of the newest step in the running mean
        _secondsPerStep = _secondsPerStep == 0 ? sinceLast : (1 - weight) * _secondsPerStep + weight * sinceLast;
        return sinceLast;
    }

    public double RemainingSeconds(int steps) => steps * _secondsPerStep;
}
