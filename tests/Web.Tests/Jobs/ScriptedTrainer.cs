using System.Globalization;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Tests.Jobs;

/// <summary>
/// Stands in for the trainer: a shell script that keeps its contract (events, checkpoints, pause, cancel, resume, parent pipe, lock)
/// without training. Steps listed in <see cref="CrashAt"/> kill it, once each.
/// </summary>
internal sealed class ScriptedTrainer(string folder) : ITrainer
{
    public int TotalSteps { get; init; } = 20;
    public double StepSeconds { get; init; } = 0.02;

    /// <summary>Here it waits, once, until it is told something or its parent goes: whatever the test does then comes in time.</summary>
    public int HoldsAtStep { get; init; }

    public IReadOnlyList<int> CrashAt { get; init; } = [];
    public Error? Missing { get; init; }

    /// <summary>A JSON event told as the last word instead of training.</summary>
    public string? Says { get; init; }

    public Error? WhyMissing() => Missing;

    public ChildProgram Program(string specPath, string runToken, bool resume)
    {
        var crashes = Path.Combine(folder, "crashes");
        if (!File.Exists(crashes)) File.WriteAllLines(crashes, CrashAt.Select(s => s.ToString(CultureInfo.InvariantCulture)));
        var output = FineTuneSpec.Parse(File.ReadAllText(specPath)).Output;
        return new ChildProgram("/bin/bash", ["-c", Script, "trainer", output, runToken, $"{TotalSteps}", StepSeconds.ToString(CultureInfo.InvariantCulture), crashes, Says ?? "", $"{HoldsAtStep}"]);
    }

    public ChildProgram Plan(string specPath) => new("/bin/bash", ["-c", "echo \"$1\"", "plan", Shared.Json.Serialize(Planned)]);

    /// <summary>What it foretells.</summary>
    public FineTunePlan Planned { get; init; } = new(1, 1, 1 << 20, new Dictionary<string, long>(), 1, 1, 1, 20, new PlannedSeconds(1, 2, 3), 1, 1 << 30, true, false, []);

    private const string Script = """
        out=$1 token=$2 total=$3 delay=$4 crashes=$5 says=$6 hold=$7
        mkdir -p "$out"
        step=$(cat "$out/checkpoint" 2>/dev/null || echo 0)
        begun=$step
        emit() { echo "{\"type\":\"$1\",\"at\":\"2026-11-25T00:00:00Z\",\"step\":$step,\"run\":\"$token\"$2}" | tee -a "$out/events.jsonl"; }
        save() { echo $step > "$out/checkpoint.new"; mv "$out/checkpoint.new" "$out/checkpoint"; emit checkpoint ",\"path\":\"$out/checkpoint\",\"seconds\":0.01"; }
        exec 7> "$out/lock"
        flock -n 7 || { emit failed ',"code":"output-locked","message":"locked","remedy":"wait"'; exit 1; }
        if [ -n "$says" ]; then emit started ",\"total_steps\":$total,\"trainable_parameters\":1"; emit $says; exit 1; fi
        emit started ",\"total_steps\":$total,\"trainable_parameters\":1"
        while [ $step -lt $total ]; do
          patience="-t $delay"
          if [ $step -eq $hold ] && [ $begun -lt $hold ]; then patience=; fi
          read $patience word; code=$?
          if [ $code -eq 0 ]; then
            case $word in
              pause) save; emit paused; exit 0 ;;
              cancel) emit cancelled; exit 0 ;;
            esac
          elif [ $code -le 128 ]; then save; exit 0; fi
          step=$((step + 1))
          emit step ",\"epoch\":0,\"loss\":$((1000 - step)),\"grad_norm\":1,\"learning_rate\":1e-4,\"tokens\":$((step * 100)),\"supervised_tokens\":50,\"tokens_per_second\":10,\"memory_bytes\":1,\"remaining_seconds\":1"
          if [ $((step % 5)) -eq 0 ]; then save; fi
          if grep -qx $step "$crashes"; then sed -i "0,/^$step\$/{/^$step\$/d}" "$crashes"; kill -9 $$; fi
        done
        echo adapter > "$out/adapter.gguf"
        mkdir -p "$out/peft"
        emit export ",\"kind\":\"peft\",\"path\":\"$out/peft\""
        emit export ",\"kind\":\"gguf-lora\",\"path\":\"$out/adapter.gguf\""
        emit finished ',"loss":1,"seconds":1,"effective_time":1'
        """;
}
