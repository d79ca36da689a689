using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.FineTuning.Pages;

/// <summary>
/// Dataset and model, then start; everything else has a default that says why. Choices of dataset and model are in the URL;
/// a failed start loses nothing. <c>?from=ID</c> takes over the settings of an earlier run (Clone).
/// </summary>
public sealed partial class NewRunPage
{
    private const int SamplePrompts = 3;
    private static readonly TimeSpan ForecastPause = TimeSpan.FromMilliseconds(600);

    private IReadOnlyList<Choice>? _datasets, _models;
    private FineTuneSettings _settings = new();
    private Error? _error, _missing;
    private string _dataset = "", _model = "", _name = "", _samples = "";
    private FineTunePlan? _plan;
    private Error? _unplanned;
    private CancellationTokenSource? _asking;
    private bool _planning;
    private int _busyJobs;
    private bool _nameTyped, _rateTyped, _starting, _filled;

    private sealed record Choice(string Id, string Name, int GoodRows, long Parameters, string? StorePath, string? Why);

    [SupplyParameterFromQuery(Name = "dataset")] private Guid? Dataset { get; set; }
    [SupplyParameterFromQuery(Name = "model")] private Guid? Model { get; set; }
    [SupplyParameterFromQuery(Name = "from")] private Guid? From { get; set; }

    [Inject] private PlanFineTune Planning { get; set; } = default!;
    [Inject] private StartFineTune Start { get; set; } = default!;
    [Inject] private RunPreflight Preflight { get; set; } = default!;
    [Inject] private DataDirectory Data { get; set; } = default!;
    [Inject] private NavigationManager Navigation { get; set; } = default!;

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(DatasetVersion), typeof(ModelVersion), typeof(Job) };
    protected override Role Minimum => Role.Member;

    private Choice? ChosenDataset => _datasets?.FirstOrDefault(d => d.Id == _dataset);

    protected override async Task LoadAsync(Actor actor)
    {
        await using var db = Database.Open(actor.WorkspaceId);
        var versions = await (
            from version in db.DatasetVersions.AsNoTracking()
            join dataset in db.Datasets on version.DatasetId equals dataset.Id
            where dataset.DeletedAt == null
            orderby version.CreatedAt descending
            select new { version, dataset.Name }).ToListAsync(Gone);
        _datasets = [.. versions.Select(v => new Choice(v.version.Id.ToString(), $"{v.Name} v{v.version.Number}", v.version.GoodRows, 0, v.version.StorePath, v.version.WhyNotUsable()?.Message))];
        var models = await (
            from version in db.ModelVersions.AsNoTracking()
            join model in db.Models on version.ModelId equals model.Id
            where model.DeletedAt == null && version.Kind != ModelKind.Adapter
            orderby model.IsStarter descending, version.CreatedAt descending
            select new { version, model.Name }).ToListAsync(Gone);
        _models = [.. models.Select(m => new Choice(m.version.Id.ToString(), $"{m.Name} v{m.version.Number}", 0, m.version.Parameters, null, StartFineTune.WhyNotTrainable(m.version)?.Message))];
        _busyJobs = await db.Jobs.CountAsync(j => j.Kind == JobKind.FineTune && (j.State == JobState.Running || j.State == JobState.Waiting), Gone);
        _missing = Preflight.WhyNotHere();
        if (!_filled) await FillAsync(db);
        if (_plan is null && !_planning) Forecast();
    }

    /// <summary>The first time: from an earlier run, else what the URL names, else the only sensible choice.</summary>
    private async Task FillAsync(PlatformDbContext db)
    {
        _filled = true;
        if (From is { } from && await db.FineTuneRuns.AsNoTracking().FirstOrDefaultAsync(r => r.Id == FineTuneRunId.From(from), Gone) is { } earlier)
        {
            _settings = FineTuneSettings.From(FineTuneSpec.Parse(earlier.SpecJson));
            (_dataset, _model, _name, _nameTyped, _rateTyped) = (earlier.DatasetVersionId.ToString(), earlier.BaseVersionId.ToString(), earlier.Name, true, true);
            _samples = string.Join('\n', _settings.SamplePrompts);
            return;
        }
        _dataset = Dataset?.ToString() ?? _datasets!.FirstOrDefault(d => d.Why is null)?.Id ?? "";
        _model = Model?.ToString() ?? _models!.FirstOrDefault(m => m.Why is null)?.Id ?? "";
        SuggestRate();
        await SuggestAsync();
    }

    private async Task ChooseDatasetAsync(ChangeEventArgs e)
    {
        _dataset = e.Value as string ?? "";
        await SuggestAsync();
        Changed();
    }

    private void ChooseModel()
    {
        SuggestRate();
        Changed();
    }

    private void ChangeKind()
    {
        SuggestRate();
        Changed();
    }

    private string MethodHelp => _settings.Method switch
    {
        TrainingMethod.Dpo => "DPO: rows with a chosen and a rejected answer; the model comes to prefer the chosen ones.",
        TrainingMethod.Pretrain => "Continued pre-training: every word of the texts is learned, to know a subject or a language better.",
        _ => "Supervised fine-tuning: the model learns to answer as the assistant in your rows does.",
    };

    private string AdapterHelp => _settings.Adapter switch
    {
        "rslora" => "Like LoRA, scaled so that high ranks pay.",
        "dora" => "Learns direction and length of the weights apart; often a little better than LoRA and slower. The result is a merged model.",
        "qlora" => "LoRA whose frozen weights stay as small as in the model's file: least memory, a little slower.",
        "none" => "Learns most and needs several times the memory; the result is a whole model.",
        _ => "A small adapter beside the frozen weights: quick, and it can be served beside others. The usual choice.",
    };

    private void SuggestRate()
    {
        if (!_rateTyped && _models!.FirstOrDefault(m => m.Id == _model) is { Parameters: > 0 } model) _settings.LearningRate = _settings.SuggestRate(model.Parameters);
    }

    /// <summary>A name and sample prompts from the dataset, unless the person has written their own.</summary>
    private async Task SuggestAsync()
    {
        if (ChosenDataset is not { } data) return;
        if (!_nameTyped) _name = $"{data.Name[..data.Name.LastIndexOf(" v", StringComparison.Ordinal)]}-r{_settings.Rank}";
        if (data.StorePath is null || _samples.Length > 0 && _samples != _suggestedSamples) return;
        _samples = _suggestedSamples = string.Join('\n', await FirstPromptsAsync(Data.Resolve(data.StorePath)));
    }

    private string _suggestedSamples = "";

    /// <summary>What the first rows ask, where it fits on a line.</summary>
    private async Task<IReadOnlyList<string>> FirstPromptsAsync(string path)
    {
        const int rowsLookedAt = 50, maxLength = 200;
        var prompts = new List<string>();
        if (!File.Exists(path)) return prompts;
        await foreach (var line in File.ReadLinesAsync(path, Gone).Take(rowsLookedAt))
        {
            if (prompts.Count == SamplePrompts) break;
            try
            {
                var first = JsonNode.Parse(line)?["messages"]?.AsArray().FirstOrDefault(m => m?["role"]?.GetValue<string>() == "user")?["content"];
                if (first?.GetValueKind() == JsonValueKind.String && first.GetValue<string>() is { Length: > 0 and < maxLength } prompt && !prompt.Contains('\n') && !prompts.Contains(prompt)) prompts.Add(prompt);
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                // Only a suggestion: a row of another shape suggests nothing.
            }
        }
        return prompts;
    }

    /// <summary>Asks the trainer what the run would cost, once the person has paused; an older question is dropped.</summary>
    private void Forecast()
    {
        _asking?.Cancel();
        (_plan, _unplanned, _planning) = (null, null, false);
        if (_missing is not null || _settings.Check().Count > 0 || !Guid.TryParse(_dataset, out var dataset) || !Guid.TryParse(_model, out var model)) return;
        _planning = true;
        var asking = _asking = CancellationTokenSource.CreateLinkedTokenSource(Gone);
        _ = InvokeAsync(async () =>
        {
            try
            {
                await Task.Delay(ForecastPause, asking.Token);
                var planned = await Planning.HandleAsync(await CurrentUser.RequireAsync(Role.Member, asking.Token), new PlanFineTune.Command(DatasetVersionId.From(dataset), ModelVersionId.From(model), _settings), asking.Token);
                (_plan, _unplanned, _planning) = (planned.IsOk ? planned.Value : null, planned.IsOk ? null : planned.Error, false);
                StateHasChanged();
            }
            catch (OperationCanceledException) when (asking.IsCancellationRequested)
            {
                // Another question has been asked since, or the page is gone.
            }
            finally
            {
                asking.Dispose();
                if (_asking == asking) _asking = null;
            }
        });
    }

    private void NameTyped() => _nameTyped = true;

    private void ChangeRate(ChangeEventArgs e)
    {
        _rateTyped = true;
        _settings.LearningRate = double.TryParse(e.Value as string, NumberStyles.Float, CultureInfo.InvariantCulture, out var rate) ? rate : double.NaN;
        Changed();
    }

    private void Changed()
    {
        _error = null;
        Forecast();
    }

    private string? Mistake(string field) => _settings.Check().Where(m => m.Field == field).Select(m => $"{m.Error.Message}; {m.Error.Remedy}").FirstOrDefault();

    private async Task StartAsync()
    {
        _starting = true;
        try
        {
            _settings.SamplePrompts = _samples.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            var actor = await CurrentUser.RequireAsync(Role.Member, Gone);
            if (!Guid.TryParse(_dataset, out var dataset)) _error = new Error("dataset-missing", "No dataset is chosen", "choose one");
            else if (!Guid.TryParse(_model, out var model)) _error = new Error("model-missing", "No base model is chosen", "choose one");
            else
            {
                var result = await Start.HandleAsync(actor, new StartFineTune.Command(_name, DatasetVersionId.From(dataset), ModelVersionId.From(model), _settings), Gone);
                if (result.IsOk) Navigation.NavigateTo(Links.FineTune(result.Value));
                else _error = result.Error;
            }
        }
        catch (RefusedException e)
        {
            _error = e.Error;
        }
        finally
        {
            _starting = false;
        }
    }
}
