// Server reflection (grpc/doc/server-reflection.md) over the descriptors of gen/: grpcurl and its kin work without our files.
// Every answer holds the file and all that it imports, because clients do not ask for imports one by one.
import { createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { type ServiceDefinition, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { descriptorSet } from '@skerry/gen/descriptors';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  type ServerReflectionServer,
  ServerReflectionService,
} from '@skerry/gen/grpc/reflection/v1/reflection';

/** grpcurl asks v1 first, older clients know only v1alpha; the messages are the same. */
export const reflectionDefinitions: readonly ServiceDefinition[] = ['v1', 'v1alpha'].map((version) => ({
  serverReflectionInfo: {
    ...ServerReflectionService.serverReflectionInfo,
    path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
  },
}));

type FileRegistry = ReturnType<typeof createFileRegistry>;
type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

export function createReflection(services: readonly ServiceDefinition[]): UntypedServiceImplementation {
  const names = [...services, ...reflectionDefinitions].flatMap(serviceNames);
  let registry: FileRegistry | undefined;
  // Decoded when somebody asks for the first time: most servers are never asked.
  const files = (): FileRegistry => {
    registry ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(descriptorSet, 'base64')));
    return registry;
  };
  const implementation: ServerReflectionServer = {
    serverReflectionInfo(call) {
      call.on('data', (request: ServerReflectionRequest) => {
        const messageResponse = answer(request, names, files);
        if (call.write({ validHost: request.host, originalRequest: request, messageResponse })) return;
        // Answers are a thousand times as long as questions: who does not read them is asked nothing more.
        call.pause();
        call.once('drain', () => call.resume());
      });
      call.on('end', () => call.end());
      call.on('error', () => call.end());
    },
  };
  return implementation;
}

function answer(request: ServerReflectionRequest, names: readonly string[], files: () => FileRegistry): Answer {
  const asked = request.messageRequest;
  switch (asked?.$case) {
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: names.map((name) => ({ name })) } };
    case 'fileByFilename':
      return fileAnswer(files(), asked.value, asked.value);
    case 'fileContainingSymbol':
      return fileAnswer(files(), fileOf(files(), asked.value), asked.value);
    default:
      return notFound('extensions are not used here');
  }
}

/** The file that declares a type, a service or a method. */
function fileOf(registry: FileRegistry, symbol: string): string | undefined {
  const descriptor = registry.get(symbol) ?? registry.get(symbol.slice(0, symbol.lastIndexOf('.')));
  return descriptor && `${descriptor.file.name}.proto`;
}

function fileAnswer(registry: FileRegistry, name: string | undefined, asked: string): Answer {
  const found = new Map<string, Uint8Array>();
  const add = (fileName: string): void => {
    const file = registry.getFile(fileName);
    if (file === undefined || found.has(fileName)) return;
    found.set(fileName, toBinary(FileDescriptorProtoSchema, file.proto));
    for (const imported of file.proto.dependency) add(imported);
  };
  if (name !== undefined) add(name);
  if (found.size === 0) return notFound(`"${asked.slice(0, 200)}" is not known here`);
  return {
    $case: 'fileDescriptorResponse',
    value: { fileDescriptorProto: [...found.values()].map((bytes) => Buffer.from(bytes)) },
  };
}

function notFound(errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode: status.NOT_FOUND, errorMessage } };
}

/** "/package.Service/Method" -> "package.Service", once each. */
function serviceNames(definition: ServiceDefinition): string[] {
  return [...new Set(Object.values(definition).map((method) => method.path.split('/')[1] ?? ''))];
}
