import Handlebars from 'handlebars';
import { listFiles, readTemplate } from './files.js';
import { helpers } from './helpers.js';
import type { Texts } from './texts.js';

/**
 * Renders the templates of one kind. Each kind has a Handlebars of its own, so partials and helpers of other instances and of the host stay
 * apart.
 */
export function createRenderer(
  directories: readonly string[],
  partialsDir: string,
  isHtml: boolean,
  { translate }: Texts,
): (file: string, context: object) => string {
  const handlebars = Handlebars.create();
  const compile = (source: string) =>
    handlebars.compile(source, { strict: true, explicitPartialContext: true, noEscape: !isHtml });
  const compiled = new Map<string, HandlebarsTemplateDelegate>();
  for (const file of listFiles(directories, partialsDir, ['.hbs'])) {
    handlebars.registerPartial(
      file.slice(0, -'.hbs'.length),
      compile(readTemplate(directories, `${partialsDir}/${file}`) ?? ''),
    );
  }
  handlebars.registerHelper(helpers(translate));
  return (file, context) => {
    let template = compiled.get(file);
    if (template === undefined) {
      const source = readTemplate(directories, file);
      if (source === null) throw new Error(`there is no template ${file}`);
      template = compile(source);
      compiled.set(file, template);
    }
    try {
      return template(context);
    } catch (cause) {
      throw new Error(`template ${file}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  };
}
