using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Checkpoints;
using TokenMill.Training.Data;
using TokenMill.Training.Forecast;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Loop;

/// <summary>
/// One run, from its specification to what it exports. It reads top to bottom: set up, resume, then steps with evaluations
/// and checkpoints between them, then export. Everything happens on the thread that calls <see cref="Execute"/>.
/// </summary>
public sealed class TrainingRun : IDisposable
{
    internal const double DefaultCheckpointSeconds = 60;

    private readonly FineTuneSpec _spec;
    private readonly OutputFolder _output;
    private readonly EventWriter _events;
    private readonly StopRequest _stop;
    private readonly TimeProvider _time;
    private readonly RunClock _clock;
    private readonly ModelSource _source;
    private readonly ModelText _text;
    private readonly TrainingData _data;
    private readonly TrainingSetup _setup;
    private readonly LearningRateSchedule _schedule;
    private readonly CheckpointWriter _checkpoints;
    private readonly CheckpointStore _store;
    private readonly int _maxLength;
    private readonly double _dataSeconds;
    private readonly int _totalSteps;
    private readonly BestWeights _best;
    private ReferenceLogProbabilities? _reference;          // of preferences only
    private int _done, _savedStep = -1;
    private long _tokens, _supervisedTokens;
    private double _lastLoss;
    private double _heldUpSeconds;

    /// <param name="spec">Checked before by <see cref="SpecCheck"/>.</param>
    public TrainingRun(FineTuneSpec spec, OutputFolder output, EventWriter events, StopRequest stop, TimeProvider time)
    {
        (_spec, _output, _events, _stop, _time, _clock) = (spec, output, events, stop, time, new RunClock(time));
        TorchRuntime.UseThreads(spec.Threads ?? Environment.ProcessorCount);
        _source = new ModelSource(spec.Model, stop.Token);
        _text = new ModelText(_source);

        var config = _source.Config();
        _maxLength = Math.Min(spec.MaxLength ?? 2048, config.ContextLength);
        var began = time.GetTimestamp();
        _data = new TrainingDataLoader(spec, _text.Conversations, _text.Whole, config.VocabularySize, _maxLength, output.Path).Load(stop.Token);
        _dataSeconds = time.GetElapsedTime(began).TotalSeconds;
        _totalSteps = TotalSteps(spec, _data.StepsPerEpoch);
        _setup = TrainingSetup.Build(spec, _source, config, stop.Token);
        _schedule = new LearningRateSchedule(WithDefaultWarmup(spec.Schedule), spec.Optimizer.LearningRate ?? (_setup.Adapter is null ? 1e-5 : 1e-4), _totalSteps);
        _store = new CheckpointStore(output.Checkpoints, spec.Checkpoint.Keep);
        _best = new BestWeights(spec, output.Best);
        _checkpoints = new CheckpointWriter(_store, (path, step) => events.Write(new CheckpointEvent(path, _heldUpSeconds), step));
    }

    /// <summary>Runs until the end or until it is asked to stop. The last event it writes says which.</summary>
    public void Execute()
    {
        using var interrupt = TorchRuntime.InterruptBy(_stop.Token);
        try
        {
            if (IsPreference) _reference = ReferenceLogProbabilities.LoadOrCompute(_output.Reference, _data, _setup.Model, _totalSteps, _maxLength, (done, pairs) => _events.Write(new ReferenceEvent(done, pairs), 0), _stop.Token);
            Resume();
            _events.Write(new StartedEvent(_totalSteps, _setup.Optimizer.ParameterCount, Plan()), _done);
            foreach (var (code, message) in _data.Warnings) _events.Write(new WarningEvent(code, message), _done);
            if (_done < _totalSteps && IsEvaluationDue()) Evaluate();     // also after a resume: it may have been cut off
            Train();
            Evaluate();
            _checkpoints.Finish();
            TakeBest();
            foreach (var export in new RunExport(_spec, _source, _setup.Model, _setup.Adapter, _output.Path, _stop.Token).Write()) _events.Write(export, _done);
            _events.Write(new FinishedEvent(_lastLoss, _clock.Seconds, _clock.EffectiveTime) { BestStep = _best.Progress.BestStep is > -1 and var best ? best : null }, _done);
        }
        catch (OperationCanceledException) when (_stop.Token.IsCancellationRequested)
        {
            Stop();
        }
    }

    public void Dispose()
    {
        _checkpoints.Dispose();
        _best.Dispose();
        _setup.Dispose();
        _data.Dispose();
        _text.Dispose();
    }

    private void Train()
    {
        var saved = _time.GetTimestamp();
        _clock.Start();
        while (_done < _totalSteps && !_best.ShouldStop)
        {
            _stop.Token.ThrowIfCancellationRequested();
            _checkpoints.ThrowIfFailed();
            var started = _time.GetTimestamp();
            var passes = Passes.Of(_data.Step(_done), _spec.BatchSize, _maxLength, _spec.Packing, _data.AnswersPerExample);
            var outcome = _setup.Step.Compute(passes, Objective(_reference?.OfStep(_done)), SeededRandom.Mix((ulong)_spec.Seed, (ulong)_done), _stop.Token);
            RefuseNonFinite(outcome);
            var rate = _schedule.At(_done);
            _setup.Step.Apply(outcome, rate);

            _done++;
            _tokens += outcome.Tokens;
            _supervisedTokens += outcome.Sums.Tokens;
            _lastLoss = outcome.Loss;
            var seconds = _clock.Step(started);
            _events.Write(new StepEvent((double)_done / _data.StepsPerEpoch, outcome.Loss, outcome.GradientNorm, rate, _tokens, _supervisedTokens, outcome.Tokens / seconds,
                TorchDevice.PeakBytes() ?? ProcessMemory.PeakBytes(), _clock.RemainingSeconds(_totalSteps - _done))
            {
                RewardChosen = outcome.Sums.Preferences?.RewardChosen / outcome.Sums.Terms,
                RewardRejected = outcome.Sums.Preferences?.RewardRejected / outcome.Sums.Terms,
                Accuracy = (double?)outcome.Sums.Preferences?.Won / outcome.Sums.Terms,
            }, _done);

            if (IsCheckpointDue(saved))
            {
                Save();
                saved = _time.GetTimestamp();
            }
            if (_done < _totalSteps && IsEvaluationDue()) Evaluate();
        }
        if (_best.ShouldStop)
            _events.Write(new WarningEvent("stopped-early", $"the validation loss has not fallen for {_best.Progress.WithoutImprovement} evaluations; it was lowest after step {_best.Progress.BestStep:N0}"), _done);
        if (_savedStep != _done) Save();
    }

    private bool IsPreference => _spec.Method == TrainingMethod.Dpo;

    /// <param name="reference">Of the examples at hand, for preferences.</param>
    private IObjective Objective(ReadOnlyMemory<double>? reference) => reference is { } known ? new PreferenceObjective(_spec.Beta, _spec.LabelSmoothing, known) : new SupervisedObjective();

    private bool IsEvaluationDue() => _done == 0 || _spec.EvaluateEvery is { } every && _done % every == 0;

    private bool IsCheckpointDue(long saved) => _spec.Checkpoint switch
    {
        { EverySteps: { } steps } when _done % steps == 0 => true,
        { EverySteps: not null, EverySeconds: null } => false,
        var checkpoint => _time.GetElapsedTime(saved).TotalSeconds >= (checkpoint.EverySeconds ?? DefaultCheckpointSeconds),
    };

    private void Save()
    {
        if (_savedStep == _done) return;
        var started = _time.GetTimestamp();
        _checkpoints.Finish();
        var checkpoint = new Checkpoint(CheckpointStore.Version, _done, _tokens, _supervisedTokens, _lastLoss, _clock.EffectiveSeconds, _clock.Seconds, "") { Validation = _best.Progress, Data = Convert.ToHexStringLower(_data.Fingerprint) };
        var snapshot = _store.Take(checkpoint, _setup.Optimizer.State());
        _heldUpSeconds = _time.GetElapsedTime(started).TotalSeconds;
        _checkpoints.Write(snapshot);
        _savedStep = _done;
    }

    private void Resume()
    {
        var checkpoint = _store.Restore([.. _setup.Optimizer.State()], why => _events.Write(new WarningEvent("checkpoint-damaged", why), 0));
        if (checkpoint is null) return;
        if (checkpoint.Data is { } before && before != Convert.ToHexStringLower(_data.Fingerprint))
            throw new RefusedException("data-changed", "the data are not those that the run was started with: their rows or tokens have changed", "put the files back as they were, or start a new run in another output folder");
        (_done, _savedStep, _tokens, _supervisedTokens, _lastLoss) = (checkpoint.Step, checkpoint.Step, checkpoint.Tokens, checkpoint.SupervisedTokens, checkpoint.LastLoss);
        _best.Resume(checkpoint.Validation);
        _clock.Resume(checkpoint.EffectiveSeconds, checkpoint.Seconds + LostTime.Seconds(_output.Journal));
        _setup.Optimizer.Resume(checkpoint.Step);
        _setup.Model.Repack();
    }

    /// <summary>The weights that measured best become the result.</summary>
    private void TakeBest()
    {
        if (_best.Restore(_setup.Optimizer.Parameters(), why => _events.Write(new WarningEvent("checkpoint-damaged", why), _done))) _setup.Model.Repack();
    }

    private void Evaluate()
    {
        if (_best.Progress.EvaluatedStep == _done) return;          // before a stop, or as the last thing of the training
        if (_data.ValidationCount > 0)
        {
            var sums = Evaluation.Run(_setup.Model, _data, (first, count) => Objective(_reference?.OfValidation(first, count)), _maxLength, _stop.Token);
            var loss = IsPreference ? sums.Loss / sums.Terms : sums.NegativeLogLikelihood / sums.Tokens;
            _events.Write(new ValidationEvent(loss, (double)sums.CorrectTokens / sums.Tokens)
            {
                RewardChosen = sums.Preferences?.RewardChosen / sums.Terms,
                RewardRejected = sums.Preferences?.RewardRejected / sums.Terms,
                Accuracy = (double?)sums.Preferences?.Won / sums.Terms,
            }, _done);
            _best.Observe(_done, loss, _setup.Optimizer.Parameters);
        }
        if (_text.Conversations is not { } conversations) return;
        foreach (var (prompt, answer) in new SampleAnswers(_setup.Model, _text.Vocabulary, conversations, _spec.Samples).Generate(_stop.Token))
            _events.Write(new SampleEvent(prompt, answer), _done);
    }

    /// <summary>A loss that is not a number would spoil the weights: the run ends before they change, with its last good checkpoint.</summary>
    private void RefuseNonFinite(TrainingStep.Outcome outcome)
    {
        if (double.IsFinite(outcome.Loss) && double.IsFinite(outcome.GradientNorm)) return;
        _setup.Optimizer.ClearGradients();
        _checkpoints.Finish();
        throw new PoisonedStep(_setup.Model, _data, _done).Explain(outcome);
    }

    private void Stop()
    {
        if (_stop.Reason == StopReason.Cancel)
        {
            _checkpoints.Finish();
            _events.Write(new CancelledEvent(), _done);
            return;
        }
        Save();
        _checkpoints.Finish();
        _events.Write(new PausedEvent(), _done);
    }

    /// <summary>What is known before the first step; with a forecast where this machine has been probed for such a run.</summary>
    private JsonObject Plan()
    {
        var config = _setup.Model.Config;
        var plan = new JsonObject
        {
            ["kernels"] = TorchRuntime.Describe().Kernels,
            ["torch"] = TorchRuntime.Describe().Torch,
            ["dtype"] = _setup.Model.Type == TensorType.BFloat16 ? "bfloat16" : "float32",
            ["device"] = TorchDevice.Current,
            ["threads"] = _spec.Threads ?? Environment.ProcessorCount,
            ["parameters"] = config.Parameters,
            ["examples_per_epoch"] = _data.ExamplesPerEpoch,
            ["validation_examples"] = _data.ValidationCount,
            ["tokens_per_epoch"] = _data.TokensPerEpoch,
            ["steps_per_epoch"] = _data.StepsPerEpoch,
            ["max_length"] = _maxLength,
            ["data_seconds"] = _dataSeconds,                // reading and encoding
            ["resumed_at_step"] = _done,
        };
        if (!TorchDevice.IsGpu && Planning.TryPlan(ProbeCache.OfUser(), _spec, config, _data, _maxLength, _dataSeconds) is { } foretold)
            foreach (var (name, value) in JsonSerializer.SerializeToNode(foretold, Json.Options)!.AsObject()) plan[name] = value?.DeepClone();
        return plan;
    }

    internal static int TotalSteps(FineTuneSpec spec, int stepsPerEpoch)
    {
        if (spec.MaxSteps is { } steps && spec.Epochs is null) return steps;
        var all = (int)Math.Max(1, Math.Ceiling((spec.Epochs ?? 3) * stepsPerEpoch - 1e-9));
        return Math.Min(all, spec.MaxSteps ?? int.MaxValue);
    }

    /// <summary>A warm-up belongs to schedules that fall; constant means constant from the first step unless told otherwise.</summary>
    private static ScheduleSpec WithDefaultWarmup(ScheduleSpec schedule) =>
        schedule is { WarmupSteps: null, WarmupRatio: null, Name: not "constant" } ? schedule with { WarmupRatio = 0.05 } : schedule;
}
