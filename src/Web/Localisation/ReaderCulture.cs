using System.Globalization;
using Microsoft.AspNetCore.Localization;

namespace TokenMill.Web.Localisation;

/// <summary>The reader's language: what they chose (a cookie), else what the browser asks for, else English.</summary>
public static class ReaderCulture
{
    public const string Cookie = "language";

    private static readonly CultureInfo[] Supported = [new("en"), new("zh")];

    public static void UseReaderCulture(this WebApplication app) => app.UseRequestLocalization(options =>
    {
        options.DefaultRequestCulture = new RequestCulture("en");
        options.SupportedCultures = Supported;
        options.SupportedUICultures = Supported;
        options.RequestCultureProviders =
        [
            new CustomRequestCultureProvider(context => Task.FromResult(
                context.Request.Cookies[Cookie] is { } chosen && Supported.Any(c => c.Name == chosen) ? new ProviderCultureResult(chosen) : null)),
            new AcceptLanguageHeaderRequestCultureProvider(),
        ];
    });
}
