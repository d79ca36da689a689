using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Data;

/// <summary>
/// What is learned from one row. Rows of token ids are taken as they are; conversations go through the chat template;
/// pre-training learns every token of either, and every token of a plain text with its end.
/// </summary>
/// <param name="conversations">Null for a model without a chat template.</param>
/// <param name="encodeText">Ids of a whole text, with what the model expects before and after it.</param>
internal sealed class RowEncoder(ConversationEncoder? conversations, Func<string, int[]> encodeText, TrainingMethod method, LearnedTurns learned, int vocabularySize)
{
    /// <exception cref="RefusedException">The row cannot be trained; the message does not name it.</exception>
    public IReadOnlyList<EncodedExample> Encode(byte[] utf8, string format)
    {
        var examples = format switch
        {
            "tokens" => Tokens(utf8),
            "text" => Text(utf8),
            "preference" or "preference-openai" => Preference(utf8),
            _ => Conversation(utf8),
        };
        if (examples.Count == 0 || examples.Any(e => e.SupervisedTokens == 0))
            throw new RefusedException("nothing-supervised", "no token of the row is learned", "give it an answer to learn, or remove the row");
        return examples;
    }

    private IReadOnlyList<EncodedExample> Conversation(byte[] utf8)
    {
        Wants(pairs: false);
        var row = JsonNode.Parse(utf8)!.AsObject();
        if (learned == LearnedTurns.Last) LeaveOut(Answers(row["messages"]!).SkipLast(1));
        var examples = Examples(row);
        return method == TrainingMethod.Pretrain ? [.. examples.Select(e => new EncodedExample(e.Ids, e.Ids))] : examples;
    }

    private IReadOnlyList<EncodedExample> Text(byte[] utf8)
    {
        Wants(pairs: false);
        var ids = encodeText(JsonNode.Parse(utf8)!["text"]!.GetValue<string>());
        return [new EncodedExample(ids, ids)];
    }

    /// <summary>Both answers after the same prompt, of which nothing is learned.</summary>
    private IReadOnlyList<EncodedExample> Preference(byte[] utf8)
    {
        Wants(pairs: true);
        var row = JsonNode.Parse(utf8)!;
        LeaveOut(Answers(row["prompt"]!));
        return [Answer(row, "chosen"), Answer(row, "rejected")];
    }

    private static IEnumerable<JsonNode> Answers(JsonNode messages) => messages.AsArray().Where(message => message!["role"]!.GetValue<string>() == "assistant")!;

    private static void LeaveOut(IEnumerable<JsonNode> messages)
    {
        foreach (var message in messages) message["weight"] = 0;
    }

    private EncodedExample Answer(JsonNode row, string side)
    {
        var messages = row["prompt"]!.AsArray().Concat(row[side]!.AsArray()).Select(m => m!.DeepClone());
        var examples = Examples(new JsonObject { ["messages"] = new JsonArray([.. messages]), ["tools"] = row["tools"]?.DeepClone() });
        return examples is [var only] ? only : throw new RefusedException("template-refused", $"the model's chat template writes the {side} answer in {examples.Count} pieces", "keep each answer to one message");
    }

    private IReadOnlyList<EncodedExample> Examples(JsonObject row)
    {
        var encoder = conversations ?? throw new RefusedException("no-chat-template", "the model has no chat template, so conversations cannot be encoded", "choose a model that was tuned for chat, or data of plain text or token ids");
        try
        {
            return encoder.Examples(row);
        }
        catch (TemplateException e)
        {
            throw new RefusedException(new Error("template-refused", $"the model's chat template does not take the row: {e.Message}", "change the row, or choose another model"), e);
        }
    }

    private void Wants(bool pairs)
    {
        if (pairs == (method == TrainingMethod.Dpo)) return;
        throw pairs
            ? new RefusedException("not-sequences", "the row is a pair of answers, and this method learns from single ones", "choose other data, or another method")
            : new RefusedException("not-preferences", "the row is a single sequence, and this method learns from pairs of answers", "choose other data, or another method");
    }

    private IReadOnlyList<EncodedExample> Tokens(byte[] utf8)
    {
        using var row = JsonDocument.Parse(utf8);
        var root = row.RootElement;
        var isPair = root.TryGetProperty("chosen", out var chosen);
        Wants(isPair);
        return isPair ? [Sequence(chosen), Sequence(root.GetProperty("rejected"))] : [Sequence(root)];
    }

    private EncodedExample Sequence(JsonElement sequence)
    {
        var ids = Integers(sequence.GetProperty("ids"));
        var labels = Integers(sequence.GetProperty("labels"));
        foreach (var id in ids) Known(id);
        foreach (var label in labels)
            if (label != EncodedExample.Unsupervised) Known(label);
        return new EncodedExample(ids, labels);
    }

    private void Known(int id)
    {
        if ((uint)id >= (uint)vocabularySize)
            throw new RefusedException("unknown-token", $"{id} is not among the ids 0 to {vocabularySize - 1:N0} of the model's tokens", "encode the rows with this model's tokenizer");
    }

    private static int[] Integers(JsonElement list)
    {
        var integers = new int[list.GetArrayLength()];
        var index = 0;
        foreach (var item in list.EnumerateArray()) integers[index++] = item.GetInt32();
        return integers;
    }
}
