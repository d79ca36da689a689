using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Shared.ChatTemplates;

/// <summary>
/// Conversations as tokens, in one way for training, serving and statistics.
/// <list type="number">
/// <item>The prompt of a turn is the rendered history with the generation prompt, tokenised as a whole, with nothing added: what serving feeds.</item>
/// <item>The reply is what the template writes beyond the prompt, tokenised apart from it, since a model writes it apart. It is learned with its
/// end-of-turn token; white space after that is not.</item>
/// <item>Turns share one example as long as each prompt begins with the tokens learned so far. Where the history renders, or tokenises, otherwise
/// than the reply was written (reasoning that is dropped, white space at a border), the turn gets an example of its own.</item>
/// <item>Control tokens come from the template alone: their texts inside a message are letters, so that data cannot end a turn or forge one.</item>
/// </list>
/// Thread-safe.
/// </summary>
public sealed class ConversationEncoder
{
    /// <summary>Each turn renders its whole history, so the work grows with the square.</summary>
    public const int MaxMessages = 500;

    private const string ThoughtStart = "<think>", ThoughtEnd = "</think>";

    private readonly ModelChatTemplate _template;
    private readonly Func<string, int[]> _tokenize, _tokenizeText;
    private readonly string[] _controlTexts;
    private readonly SearchValues<string> _controlSearch;
    private readonly Lazy<bool> _argumentsAreObjects;

    /// <param name="tokenize">Ids of a text with control tokens parsed and nothing added.</param>
    /// <param name="tokenizeText">The same with the texts of control tokens taken as letters.</param>
    /// <param name="controlTexts">Texts of the control tokens.</param>
    public ConversationEncoder(ModelChatTemplate template, Func<string, int[]> tokenize, Func<string, int[]> tokenizeText, IEnumerable<string> controlTexts)
    {
        (_template, _tokenize, _tokenizeText) = (template, tokenize, tokenizeText);
        _controlTexts = [.. controlTexts.Where(t => t.Length > 1).Distinct().OrderByDescending(t => t.Length)];
        _controlSearch = SearchValues.Create(_controlTexts, StringComparison.Ordinal);
        _argumentsAreObjects = new(() => TemplateMessages.WantsArgumentObjects(template));
    }

    public static ConversationEncoder For(ModelChatTemplate template, LlamaVocabulary vocabulary) =>
        new(template, text => vocabulary.Tokenize(text), text => vocabulary.Tokenize(text, parseSpecial: false),
            Enumerable.Range(0, vocabulary.Count).Where(vocabulary.IsControl).Select(id => vocabulary.Decode([id])));

    /// <summary>What the model is given to answer a conversation.</summary>
    /// <exception cref="TemplateException">The template refuses the conversation.</exception>
    public int[] Prompt(JsonArray messages, JsonArray? tools = null, JsonObject? extra = null)
    {
        var (prepared, guard) = Prepare(messages, tools);
        return Encode(_template.Render(prepared.Messages, prepared.Tools, addGenerationPrompt: true, extra), guard);
    }

    /// <summary>What is learned from a row {"messages", "tools"}; empty where nothing is.</summary>
    /// <exception cref="TemplateException">The template refuses the conversation.</exception>
    /// <exception cref="RefusedException">too-many-messages.</exception>
    public IReadOnlyList<EncodedExample> Examples(JsonObject row)
    {
        var original = row["messages"]!.AsArray();
        if (original.Count > MaxMessages)
            throw new RefusedException("too-many-messages", $"the conversation has {original.Count:N0} messages, at most {MaxMessages:N0} are trained in one row", "split it into several rows");
        var (prepared, guard) = Prepare(original, row["tools"] as JsonArray);
        var examples = new List<EncodedExample>();
        var (ids, labels) = (new List<int>(), new List<int>());
        var prompts = new PromptTokens(this, guard);
        foreach (var turn in AssistantTurns(original))
        {
            var (prompt, reply) = Turn(prepared, turn);
            var promptIds = prompts.Encode(prompt);
            if (!promptIds.AsSpan().StartsWith(CollectionsMarshal.AsSpan(ids))) Close();
            ids.AddRange(promptIds.AsSpan(ids.Count));
            labels.AddRange(Enumerable.Repeat(EncodedExample.Unsupervised, ids.Count - labels.Count));
            Learn(reply, learned: !HasWeightZero(original[turn]!));
        }
        Close();
        return examples;

        void Learn(string reply, bool learned)
        {
            var end = EndOfTurn(reply);
            var replyIds = Encode(reply[..end], guard);
            ids.AddRange(replyIds);
            labels.AddRange(learned ? replyIds : Enumerable.Repeat(EncodedExample.Unsupervised, replyIds.Length));
            if (end == reply.Length) return;
            ids.AddRange(Encode(reply[end..], guard));
            labels.AddRange(Enumerable.Repeat(EncodedExample.Unsupervised, ids.Count - labels.Count));
        }

        void Close()
        {
            var example = new EncodedExample([.. ids], [.. labels]);
            if (example.SupervisedTokens > 0) examples.Add(example);
            ids.Clear();
            labels.Clear();
        }
    }

    /// <summary>The prompt as serving renders it for this turn, and what the model is to write after it.</summary>
    private (string Prompt, string Reply) Turn(TemplateMessages conversation, int turn)
    {
        var prompt = _template.Render(conversation.First(turn), conversation.Tools, addGenerationPrompt: true);
        var whole = _template.Render(conversation.First(turn + 1), conversation.Tools, addGenerationPrompt: false);
        if (whole.StartsWith(prompt, StringComparison.Ordinal)) return (prompt, whole[prompt.Length..]);

        // The template opens a turn otherwise than it writes one down (a thought begun in the generation prompt and dropped from the history):
        // the model writes the content as it stands, less what the prompt has begun, and ends the turn as the template does.
        var content = conversation.Content(turn).Trim();
        var thought = content.LastIndexOf(ThoughtEnd, StringComparison.Ordinal);
        var shown = thought < 0 ? content : content[(thought + ThoughtEnd.Length)..].Trim();
        var at = shown.Length == 0 ? -1 : whole.LastIndexOf(shown, StringComparison.Ordinal);
        return at < 0 ? (prompt, whole[CommonLength(prompt, whole)..]) : (prompt, Continued(prompt, content) + whole[(at + shown.Length)..]);
    }

    private static string Continued(string prompt, string content)
    {
        if (!prompt.AsSpan().TrimEnd().EndsWith(ThoughtStart)) return content;
        if (content.StartsWith(ThoughtStart, StringComparison.Ordinal)) return content[ThoughtStart.Length..].TrimStart();
        return content.Contains(ThoughtEnd, StringComparison.Ordinal) ? content : $"\n{ThoughtEnd}\n\n{content}";     // an answer without a thought
    }

    private static int CommonLength(string left, string right) => left.AsSpan().CommonPrefixLength(right);

    /// <summary>Length of the reply without the white space behind its end-of-turn token.</summary>
    private int EndOfTurn(string reply)
    {
        var trimmed = reply.AsSpan().TrimEnd();
        if (trimmed.Length == reply.Length) return reply.Length;
        foreach (var control in _controlTexts)
            if (trimmed.EndsWith(control, StringComparison.Ordinal)) return trimmed.Length;
        return reply.Length;
    }

    /// <summary>Assistant messages up to the last one that is learned.</summary>
    private static List<int> AssistantTurns(JsonArray messages)
    {
        var turns = Enumerable.Range(0, messages.Count).Where(i => messages[i]!["role"]?.GetValue<string>() == "assistant").ToList();
        return turns[..(turns.FindLastIndex(i => !HasWeightZero(messages[i]!)) + 1)];
    }

    private static bool HasWeightZero(JsonNode message) =>
        message["weight"] is JsonValue weight && weight.GetValueKind() == JsonValueKind.Number && double.Parse(weight.ToJsonString(), CultureInfo.InvariantCulture) == 0;

    /// <summary>
    /// The messages as templates expect them. If a text holds the text of a control token, a guard is put inside it: a noncharacter that stands
    /// nowhere else and is taken out again before tokenising.
    /// </summary>
    private (TemplateMessages Messages, char? Guard) Prepare(JsonArray messages, JsonArray? tools)
    {
        var prepared = TemplateMessages.From(messages, tools, _argumentsAreObjects);
        if (!prepared.AnyText(text => text.AsSpan().ContainsAny(_controlSearch))) return (prepared, null);
        var guard = Enumerable.Range(0xFDD0, 32).Select(c => (char)c).FirstOrDefault(c => !prepared.AnyText(text => text.Contains(c)));
        if (guard == '\0') throw new RefusedException("too-many-noncharacters", "the text holds every noncharacter from U+FDD0 to U+FDEF", "remove them");
        return (prepared.Select(text => Guarded(text, guard)), guard);
    }

    private string Guarded(string text, char guard)
    {
        var guarded = text;
        for (var from = 0; guarded.AsSpan(from).IndexOfAny(_controlSearch) is var at and >= 0; from += at + 2)
            guarded = guarded.Insert(from + at + 1, guard.ToString());
        return guarded;
    }

    private int[] Encode(string text, char? guard)
    {
        if (guard is not { } mark) return _tokenize(text);
        var ids = new List<int>();
        while (text.Length > 0)
        {
            var at = text.AsSpan().IndexOfAny(_controlSearch);
            var letters = at < 0 ? text : text[..at];
            if (letters.Length > 0) ids.AddRange(_tokenizeText(letters.Replace(mark.ToString(), "", StringComparison.Ordinal)));
            if (at < 0) break;
            var control = _controlTexts.First(c => text.AsSpan(at).StartsWith(c, StringComparison.Ordinal));
            ids.AddRange(_tokenize(control));
            text = text[(at + control.Length)..];
        }
        return [.. ids];
    }

    /// <summary>
    /// Prompts of one conversation, each mostly the one before: what stands before its last control token is not tokenised again.
    /// Nothing changes by that, since tokenizers never look across a control token.
    /// </summary>
    private sealed class PromptTokens(ConversationEncoder encoder, char? guard)
    {
        private readonly List<int> _headIds = [];
        private string _head = "";

        public int[] Encode(string prompt)
        {
            if (!prompt.StartsWith(_head, StringComparison.Ordinal))
            {
                _head = "";
                _headIds.Clear();
            }
            var tail = encoder.Encode(prompt[_head.Length..], guard);
            int[] ids = [.. _headIds, .. tail];
            var last = _head.Length;
            for (var from = last + 1; from < prompt.Length && prompt.AsSpan(from).IndexOfAny(encoder._controlSearch) is var at and >= 0; from = last + 1) last = from + at;
            if (last > _head.Length)
            {
                _headIds.AddRange(tail[..^encoder.Encode(prompt[last..], guard).Length]);
                _head = prompt[..last];
            }
            return ids;
        }
    }
}
