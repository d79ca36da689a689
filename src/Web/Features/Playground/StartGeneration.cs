using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.Playground;

/// <summary>
/// Asks a deployment something in a conversation, or asks the last question again. What was said before is taken from the
/// database, never from the browser.
/// </summary>
public sealed class StartGeneration(PlatformDatabase database, Generations generations, TimeProvider time)
{
    /// <param name="ConversationId">Null: a new one, named after the question.</param>
    /// <param name="Question">Null: the last question again (regenerate).</param>
    public sealed record Command(ConversationId? ConversationId, DeploymentId DeploymentId, string? SystemPrompt, string? Question, GenerationParameters Parameters);

    public sealed record Begun(ConversationId ConversationId, GenerationId GenerationId);

    private const int MaxQuestionCharacters = 200_000;

    public async Task<Result<Begun>> RunAsync(Actor actor, Command command, CancellationToken cancellationToken)
    {
        if (command.Parameters.Check() is { } wrong) return wrong;
        if (command.Question is { } asked && string.IsNullOrWhiteSpace(asked)) return new Error("question-empty", "The question is empty", "type one");
        if (command.Question?.Length > MaxQuestionCharacters) return new Error("question-too-long", $"The question has {command.Question.Length:N0} characters", $"shorten it to {MaxQuestionCharacters:N0}");

        Generation? begun = null;
        var result = await database.TryWriteAsync(actor.WorkspaceId, async db =>
        {
            var now = time.GetUtcNow();
            var conversation = command.ConversationId is { } id
                ? await db.Conversations.SingleOrDefaultAsync(c => c.Id == id && c.UserId == actor.UserId, cancellationToken)
                : new Conversation(ConversationId.New(), actor.WorkspaceId, actor.UserId, command.DeploymentId, "", now);
            if (conversation is null) return new Error("conversation-not-found", "There is no such conversation", "begin a new one");
            if (!await db.Deployments.AnyAsync(d => d.Id == command.DeploymentId && d.DeletedAt == null, cancellationToken))
                return new Error("deployment-not-found", "There is no such deployment", "choose another");
            var before = await db.Generations.Where(g => g.ConversationId == conversation.Id).OrderBy(g => g.CreatedAt).ToListAsync(cancellationToken);
            if (before.LastOrDefault() is { IsFinished: false }) return new Error("answer-under-way", "The last answer is still being made", "stop it first, or wait");
            if (Messages(command, before) is not { } messages) return new Error("nothing-to-repeat", "There is no question to answer again", "type one");
            if (command.ConversationId is null)
            {
                conversation.Retitle(string.Join(' ', command.Question!.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)));
                db.Conversations.Add(conversation);
            }
            conversation.Instruct(command.SystemPrompt);
            conversation.Talk(command.DeploymentId, now);
            begun = new Generation(GenerationId.New(), actor.WorkspaceId, conversation.Id, command.DeploymentId, actor.UserId, messages.ToJsonString(Json.Options), Json.Serialize(command.Parameters), now);
            db.Generations.Add(begun);
            return Result.Ok;
        }, cancellationToken);
        if (!result.IsOk) return result.Error;
        generations.Begin(begun!);
        return new Begun(begun!.ConversationId, begun.Id);
    }

    private static JsonArray? Messages(Command command, List<Generation> before)
    {
        if (before.LastOrDefault() is not { } last)
            return command.Question is null ? null : WithSystem(command.SystemPrompt, [Message("user", command.Question)]);
        var turns = JsonNode.Parse(last.MessagesJson)!.AsArray().Where(m => m!["role"]!.GetValue<string>() != "system").Select(m => m!.DeepClone()).ToList();
        if (command.Question is not null)
        {
            if (last.Text.Length > 0) turns.Add(Message("assistant", last.Text));
            else turns.RemoveAt(turns.Count - 1);                 // a question without an answer would be asked twice in a row
            turns.Add(Message("user", command.Question));
        }
        return WithSystem(command.SystemPrompt, turns);
    }

    private static JsonArray WithSystem(string? system, IEnumerable<JsonNode> turns) =>
        string.IsNullOrWhiteSpace(system) ? [.. turns] : [Message("system", system), .. turns];

    private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
}
