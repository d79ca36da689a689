using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using Microsoft.JSInterop;
using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Code;

namespace TokenMill.Web.Features.Playground.Pages;

/// <summary>
/// Talk with a deployment. Everything said lies on the server; this page asks, shows what has ended, and leaves an answer that is
/// being made to its script, which takes the tokens from <see cref="ChatHub"/> as they come.
/// </summary>
public sealed partial class PlaygroundPage
{
    private const int ConversationsShown = 30;

    private IReadOnlyList<Deployment>? _deployments;
    private IReadOnlyList<Conversation> _conversations = [];
    private IReadOnlyList<Turn> _turns = [];
    private ElementReference _turnsElement;
    private IJSObjectReference? _script;
    private Error? _refusal;
    private Guid? _shown;
    private bool _busy, _showCode;

    private string _question = "";
    private string? _systemPrompt;
    private double _temperature, _topP;
    private int _maxTokens;
    private long? _seed;

    [SupplyParameterFromQuery(Name = "deployment")] private Guid? DeploymentKey { get; set; }
    [SupplyParameterFromQuery(Name = "conversation")] private Guid? ConversationKey { get; set; }

    [Inject] private StartGeneration Start { get; set; } = default!;
    [Inject] private StopGeneration Stop { get; set; } = default!;
    [Inject] private NavigationManager Navigation { get; set; } = default!;
    [Inject] private IJSRuntime Browser { get; set; } = default!;

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(Generation), typeof(Conversation), typeof(Deployment) };

    private Deployment? Chosen => _deployments?.FirstOrDefault(d => d.Id.Value == DeploymentKey) ?? _deployments?.FirstOrDefault(d => d.State == DeploymentState.Ready) ?? _deployments?.FirstOrDefault();

    private bool IsAnswering => _turns is [.., { Answer.IsFinished: false }];

    private string? Sentence => Chosen is null ? null : (IsAnswering ? L["{0} is answering", Chosen.Name] : L["With {0}", Chosen.Name]).Value;

    private GenerationParameters Parameters => new() { Temperature = _temperature, TopP = _topP, MaxTokens = _maxTokens, Seed = _seed };

    private SamplingParameters Sampling => new(_temperature, _topP, _maxTokens, _seed);

    /// <summary>The messages of the next request, or of the last one while nothing is typed.</summary>
    private JsonArray NextMessages
    {
        get
        {
            var messages = new JsonArray();
            if (!string.IsNullOrWhiteSpace(_systemPrompt)) messages.Add(Message("system", _systemPrompt));
            foreach (var turn in _turns)
            {
                messages.Add(Message("user", turn.Question));
                if (turn.Answer.IsFinished && (turn != _turns[^1] || _question.Length > 0)) messages.Add(Message("assistant", turn.Answer.Text));
            }
            if (_question.Length > 0 || _turns.Count == 0) messages.Add(Message("user", _question.Length > 0 ? _question : L["Hello"].Value));
            return messages;
        }
    }

    protected override async Task OnParametersSetAsync()
    {
        if (_deployments is not null && _shown != ConversationKey) await ReloadAsync();
    }

    protected override async Task LoadAsync(Actor actor)
    {
        await using var db = Database.Open(actor.WorkspaceId);
        var conversations = await db.Conversations.AsNoTracking().Where(c => c.UserId == actor.UserId).OrderByDescending(c => c.UpdatedAt).Take(ConversationsShown).ToListAsync(Gone);
        var generations = new List<Generation>();
        if (ConversationKey is { } key)
        {
            var id = new ConversationId(key);
            var conversation = await db.Conversations.AsNoTracking().FirstOrDefaultAsync(c => c.Id == id && c.UserId == actor.UserId, Gone)
                ?? throw new RefusedException("conversation-not-found", "There is no such conversation", "begin a new one");
            generations = await db.Generations.AsNoTracking().Where(g => g.ConversationId == id).OrderBy(g => g.CreatedAt).ToListAsync(Gone);
            DeploymentKey ??= conversation.DeploymentId.Value;
            if (_shown != key) Take(conversation.SystemPrompt, generations is [.., var last] ? GenerationParameters.Parse(last.ParametersJson) : new GenerationParameters());
        }
        else if (_deployments is null || _shown is not null)
        {
            Take(null, new GenerationParameters());
        }
        (_shown, _conversations, _turns) = (ConversationKey, conversations, Turn.Of(generations));
        _deployments = await db.Deployments.AsNoTracking().Where(d => d.DeletedAt == null).OrderBy(d => d.Name).ToListAsync(Gone);
    }

    private void Take(string? systemPrompt, GenerationParameters parameters) =>
        (_systemPrompt, _temperature, _topP, _maxTokens, _seed, _refusal) = (systemPrompt, parameters.Temperature, parameters.TopP, parameters.MaxTokens, parameters.Seed, null);

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (Chosen is null) return;
        _script ??= await Browser.InvokeAsync<IJSObjectReference>("import", Gone, "./Features/Playground/Pages/PlaygroundPage.razor.js");
        await _script.InvokeVoidAsync("show", Gone, _turnsElement, PlaygroundFeature.ClientPath, ChatHub.Path);
    }

    private Task AskAsync() => SendAsync(_question);

    private async Task SendAsync(string? question)
    {
        if (_busy || Chosen is not { } deployment) return;
        _busy = true;
        try
        {
            ConversationId? conversation = ConversationKey is { } key ? new ConversationId(key) : null;
            var result = await Start.RunAsync(await CurrentUser.RequireAsync(Role.Viewer, Gone), new(conversation, deployment.Id, _systemPrompt, question, Parameters), Gone);
            _refusal = result.Error;
            if (!result.IsOk) return;
            if (question is not null) _question = "";
            if (conversation is not null)
            {
                await ReloadAsync();
                return;
            }
            (_shown, ConversationKey) = (result.Value.ConversationId.Value, result.Value.ConversationId.Value);
            Navigation.NavigateTo(Navigation.GetUriWithQueryParameters(new Dictionary<string, object?> { ["deployment"] = deployment.Id.Value, ["conversation"] = ConversationKey }), replace: true);
            await ReloadAsync();
        }
        finally
        {
            _busy = false;
        }
    }

    private async Task StopAsync(GenerationId id) => _refusal = (await Stop.RunAsync(await CurrentUser.RequireAsync(Role.Viewer, Gone), id, Gone)).Error;

    private void Choose(ChangeEventArgs e) => Navigation.NavigateTo(Navigation.GetUriWithQueryParameter("deployment", (string?)e.Value));

    private string NameOf(DeploymentId id) => _deployments?.FirstOrDefault(d => d.Id == id)?.Name ?? L["deleted deployment"].Value;

    private static string Address(Conversation conversation) => $"{Links.PlaygroundOf(conversation.DeploymentId)}&conversation={conversation.Id}";

    private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        try
        {
            if (_script is not null) await _script.InvokeVoidAsync("leave");
        }
        catch (Exception e) when (e is JSDisconnectedException or OperationCanceledException)
        {
            // The browser is gone, and its script with it.
        }
    }
}
