using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Web.Components.Charts;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>
/// A run as its events tell it, ready to be shown. Grows with new events; when a trainer goes on from step s,
/// what was told after s is dropped, as it is in the database.
/// </summary>
public sealed class RunHistory
{
    private readonly List<ChartPoint> _loss = [], _validation = [], _speed = [], _rewardChosen = [], _rewardRejected = [], _margin = [], _accuracy = [], _validationAccuracy = [];
    private readonly List<SampleEvent> _samples = [];
    private readonly List<CheckpointEvent> _checkpoints = [];
    private readonly List<ExportEvent> _exports = [];
    private readonly List<WarningEvent> _warnings = [];

    /// <summary>Of the last event taken in; ask for later ones.</summary>
    public long LastSequence { get; private set; }
    public IReadOnlyList<ChartPoint> Loss => _loss;
    public IReadOnlyList<ChartPoint> Validation => _validation;
    public IReadOnlyList<ChartPoint> Speed => _speed;

    /// <summary>Of preferences, by step: rewards of both answers and their difference.</summary>
    public IReadOnlyList<ChartPoint> RewardChosen => _rewardChosen;
    public IReadOnlyList<ChartPoint> RewardRejected => _rewardRejected;
    public IReadOnlyList<ChartPoint> Margin => _margin;

    /// <summary>Share of pairs whose chosen answer is preferred, while training and of the rows kept aside.</summary>
    public IReadOnlyList<ChartPoint> Accuracy => _accuracy;
    public IReadOnlyList<ChartPoint> ValidationAccuracy => _validationAccuracy;

    /// <summary>How far the reference of preferences is, before the first step.</summary>
    public ReferenceEvent? Reference { get; private set; }
    public IReadOnlyList<CheckpointEvent> Checkpoints => _checkpoints;
    public IReadOnlyList<ExportEvent> Exports => _exports;
    public IReadOnlyList<WarningEvent> Warnings => _warnings;
    public StartedEvent? Started { get; private set; }
    public StepEvent? Last { get; private set; }
    public FinishedEvent? Finished { get; private set; }

    /// <summary>Prompts in their order, each with its answers by step.</summary>
    public IEnumerable<(string Prompt, IReadOnlyDictionary<int, string> Answers)> Samples =>
        _samples.GroupBy(s => s.Prompt).Select(g => (g.Key, (IReadOnlyDictionary<int, string>)g.GroupBy(s => s.Step).ToDictionary(s => s.Key, s => s.Last().Answer)));

    /// <summary>Steps worth a column: before training, the first answers after it, the latest.</summary>
    public IReadOnlyList<int> SampleSteps
    {
        get
        {
            var steps = _samples.Select(s => s.Step).Distinct().Order().ToList();
            return steps.Count <= 3 ? steps : [steps[0], steps[1], steps[^1]];
        }
    }

    public ChartPoint? BestValidation => _validation.Count == 0 ? null : _validation.MinBy(p => p.Y);

    public void Add(IEnumerable<RunEvent> events)
    {
        foreach (var e in events)
        {
            LastSequence = Math.Max(LastSequence, e.Sequence);
            Add(Json.Deserialize<TrainerEvent>(e.Json));
        }
    }

    private void Add(TrainerEvent e)
    {
        switch (e)
        {
            case ReferenceEvent reference:
                Reference = reference;
                break;
            case StartedEvent started:
                DropAfter(started.Step);
                Started = started;
                break;
            case StepEvent step:
                _loss.Add(new(step.Step, step.Loss));
                _speed.Add(new(step.Step, step.TokensPerSecond));
                Last = step;
                if (step is not { RewardChosen: { } chosen, RewardRejected: { } rejected, Accuracy: { } accuracy }) break;
                _rewardChosen.Add(new(step.Step, chosen));
                _rewardRejected.Add(new(step.Step, rejected));
                _margin.Add(new(step.Step, chosen - rejected));
                _accuracy.Add(new(step.Step, accuracy));
                break;
            case ValidationEvent validation:
                _validation.Add(new(validation.Step, validation.Loss));
                if (validation.Accuracy is { } preferred) _validationAccuracy.Add(new(validation.Step, preferred));
                break;
            case SampleEvent sample:
                _samples.Add(sample);
                break;
            case CheckpointEvent checkpoint:
                _checkpoints.RemoveAll(c => c.Step == checkpoint.Step);
                _checkpoints.Add(checkpoint);
                break;
            case ExportEvent export:
                _exports.RemoveAll(x => x.Kind == export.Kind);
                _exports.Add(export);
                break;
            case WarningEvent warning when !_warnings.Exists(w => w.Code == warning.Code && w.Message == warning.Message):
                _warnings.Add(warning);
                break;
            case FinishedEvent finished:
                Finished = finished;
                break;
        }
    }

    private void DropAfter(int step)
    {
        foreach (var points in new[] { _loss, _speed, _rewardChosen, _rewardRejected, _margin, _accuracy }) points.RemoveAll(p => p.X > step);
        foreach (var points in new[] { _validation, _validationAccuracy }) points.RemoveAll(p => p.X >= step);          // an evaluation that was due there is done again
        _samples.RemoveAll(s => s.Step >= step);
        _checkpoints.RemoveAll(c => c.Step > step);
        if (Last?.Step > step) Last = null;
    }
}
