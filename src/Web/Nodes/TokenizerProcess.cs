using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;

namespace TokenMill.Web.Nodes;

/// <summary>Tokens of one row, as the trainer would see it; or why the model cannot take it.</summary>
public sealed record RowTokens(long Row, long Record, int Tokens, int Supervised, Error? Error);

/// <summary>
/// Counts tokens with a model's own tokenizer and chat template, in a child process, since Web loads no native code.
/// Rows are sent ahead of their answers, so that neither side waits for the other; a bounded queue keeps memory flat.
/// </summary>
public sealed class TokenizerProcess : IAsyncDisposable
{
    private const int RowsAhead = 256;

    private readonly ChildProcess _child;
    private readonly IAsyncEnumerator<string> _answers;

    private TokenizerProcess(ChildProcess child)
    {
        _child = child;
        _answers = child.LinesAsync(CancellationToken.None).GetAsyncEnumerator();
    }

    public static TokenizerProcess Start(string modelPath, TimeProvider time) =>
        new(ChildProcess.Start(ChildProgram.Sibling("Serving", "tokenize", Path.GetFullPath(modelPath), "--stdio") with { Priority = Priority.Background }, time));

    /// <summary>Counts the rows as they are read, in their order. One count at a time.</summary>
    /// <exception cref="RefusedException">The child ended: the model cannot be loaded.</exception>
    public async IAsyncEnumerable<RowTokens> CountAsync(IEnumerable<DatasetRow> rows, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ahead = Channel.CreateBounded<(long Row, long Record)>(RowsAhead);
        using var stopped = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var sending = Task.Run(() => SendAsync(rows, ahead.Writer, stopped.Token), CancellationToken.None);
        try
        {
            await foreach (var (row, record) in ahead.Reader.ReadAllAsync(cancellationToken))
            {
                if (!await _answers.MoveNextAsync().AsTask().WaitAsync(cancellationToken)) throw await WhyEndedAsync();
                var answer = Json.Deserialize<Answer>(_answers.Current);
                yield return new RowTokens(row, record, answer.Ids?.Length ?? answer.Tokens, answer.Ids?.Length ?? answer.Supervised, answer.Error);
            }
            await sending;
        }
        finally
        {
            await stopped.CancelAsync();
            await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _child.DisposeAsync();
        await _answers.DisposeAsync();
    }

    private async Task SendAsync(IEnumerable<DatasetRow> rows, ChannelWriter<(long, long)> ahead, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var row in rows)
            {
                var request = Request(row);
                await ahead.WriteAsync((row.Row, row.Record), cancellationToken);
                if (!await _child.SendAsync(request, cancellationToken)) break;
            }
            ahead.Complete();
        }
        catch (Exception e)
        {
            ahead.Complete(e);                              // the reader of the answers throws it
            throw;
        }
    }

    /// <summary>The conversation or text of a row on one line; of a preference, the prompt with the chosen answer.</summary>
    private static string Request(in DatasetRow row)
    {
        using var document = JsonDocument.Parse(row.Utf8);
        var buffer = new ArrayBufferWriter<byte>(row.Utf8.Length + 64);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = Json.Options.Encoder }))
        {
            json.WriteStartObject();
            json.WriteNumber("id", row.Record);
            foreach (var property in document.RootElement.EnumerateObject())
                if (property.Name is "messages" or "tools" or "text") property.WriteTo(json);
            if (document.RootElement.TryGetProperty("chosen", out var chosen) && document.RootElement.TryGetProperty("prompt", out var prompt))
            {
                json.WriteStartArray("messages");
                foreach (var message in prompt.EnumerateArray().Concat(chosen.EnumerateArray())) message.WriteTo(json);
                json.WriteEndArray();
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private async Task<RefusedException> WhyEndedAsync()
    {
        var exit = await _child.Exited;
        var line = exit.Stderr.Split('\n').LastOrDefault(l => l.StartsWith("error: ", StringComparison.Ordinal))?["error: ".Length..] ?? exit.Reason;
        return new RefusedException("tokenizer-ended", $"the tokenizer of the model ended: {line}", "check the model with ./run inspect");
    }

    private sealed record Answer(int[]? Ids, int Tokens, int Supervised, Error? Error);
}
