// Validates answers by an OpenAPI 3.1 document, with ajv.
// usage: node answers.mjs DOCUMENT.json < [{"schema": JSON pointer, "body": value}, ...]
// Prints what is wrong, a line per answer, and exits with 1.
import { readFileSync } from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

const ajv = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });
formats(ajv);
ajv.addVocabulary(['components', 'paths', 'info', 'servers', 'security', 'openapi', 'tags', 'example']);
ajv.addSchema(JSON.parse(readFileSync(process.argv[2], 'utf8')), 'document', false, false);
const answers = JSON.parse(readFileSync(0, 'utf8'));
for (const { schema, body } of answers) {
  const validate = ajv.getSchema(`document#${schema}`);
  if (validate(body)) continue;
  console.log(`${schema}: ${ajv.errorsText(validate.errors)}`);
  process.exitCode = 1;
}
console.log(`${answers.length} answers`);
