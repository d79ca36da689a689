namespace TokenMill.Serving.Scheduler;

/// <summary>
/// Whether a draft model pays, found by trying: some steps with it, some without, and what gave more tokens a second stays for a while,
/// longer each time it wins again. So it costs little where it cannot win: a trial is a sixty-fourth part of all steps in the long run.
/// Steps that also read prompts say nothing, nor does the first step after a change of who runs.
/// </summary>
internal sealed class DraftTrial(TimeProvider time)
{
    private const int TrialSteps = 16, LeastSteps = 4, FirstStay = 64, LongestStay = 1_024;
    private const double ClearlyBetter = 1.03, Hopeless = 0.8;

    private readonly double[] _tokensPerSecond = new double[2];
    private bool _drafts, _isTrial = true;
    private int _steps, _stay = FirstStay, _counted, _running;
    private double _seconds;
    private long _at, _answers, _tokens;

    /// <summary>A step begins.</summary>
    /// <param name="answers">Tokens of all running answers so far.</param>
    /// <param name="reads">A prompt is read beside them.</param>
    /// <returns>Whether to draft in it.</returns>
    public bool Step(long answers, int running, bool reads)
    {
        var now = time.GetTimestamp();
        if (!reads && running == _running && answers > _answers)
        {
            _seconds += time.GetElapsedTime(_at, now).TotalSeconds;
            _tokens += answers - _answers;
            _counted++;
        }
        (_at, _answers, _running) = (now, answers, reads ? 0 : running);
        if (_counted >= (_isTrial ? TrialSteps : _stay) || IsHopeless) Next();
        return _drafts;
    }

    /// <summary>So much slower than the other way that the trial need not go on.</summary>
    private bool IsHopeless => _isTrial && _steps > 0 && _counted >= LeastSteps && _tokens < Hopeless * _tokensPerSecond[_drafts ? 0 : 1] * _seconds;

    /// <summary>Without, with, and then what was better; after a stay the other one is tried again.</summary>
    private void Next()
    {
        _tokensPerSecond[_drafts ? 1 : 0] = _seconds > 0 ? _tokens / _seconds : double.MaxValue;
        (_seconds, _tokens, _counted) = (0, 0, 0);
        _steps++;
        if (_steps == 1 || !_isTrial)                          // the other one's turn
        {
            (_drafts, _isTrial) = (!_drafts, true);
            return;
        }
        var tried = _drafts;
        var better = _tokensPerSecond[1] > ClearlyBetter * _tokensPerSecond[0];
        _stay = better != tried ? Math.Min(2 * _stay, LongestStay) : FirstStay;
        (_drafts, _isTrial) = (better, false);
    }
}
