using System.Globalization;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Localization;
using Microsoft.Extensions.Logging.Abstractions;
using TokenMill.Web.Localisation;

namespace TokenMill.Web.Tests.Components;

/// <summary>Renders one component to HTML, in a language.</summary>
public static class Rendered
{
    public static async Task<string> HtmlAsync<T>(Dictionary<string, object?> parameters, string language = "en") where T : IComponent
    {
        CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = new CultureInfo(language);
        await using var services = new ServiceCollection().AddSingleton<IStringLocalizer, Localizer>().AddSingleton(TimeProvider.System).AddScoped<Display>().BuildServiceProvider();
        await using var renderer = new HtmlRenderer(services, NullLoggerFactory.Instance);
        return await renderer.Dispatcher.InvokeAsync(async () => (await renderer.RenderComponentAsync<T>(ParameterView.FromDictionary(parameters))).ToHtmlString());
    }
}
